//! Malformed inputs for each parser of external data: real samples, mutated in many ways, the same in every run. A
//! parser may reject an input, but must not panic, exceed a memory limit or overflow the stack.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use fastrand::Rng;

/// Inputs in a plain test run; the nightly tier uses more.
const INPUTS: usize = 500;
const MORE: &str = "AMBIKIALI_FUZZ";
/// Memory limit: far above the needs of a real input.
const MEMORY: u64 = 128;
/// Limit for inputs that grow by repetition.
const LONGEST: usize = 64 << 10;

/// Texts that parsers often mishandle.
const TOKENS: [&str; 44] = [
    "\0",
    "\u{feff}",
    "\u{202e}",
    "\u{2028}",
    "\u{85}",
    "\x1b]0;x\x07",
    "\u{10ffff}",
    "e\u{301}",
    "\"\\ud800\"",
    "\\u0000",
    "\\",
    "\"",
    "'",
    "1e999",
    "-1e-999",
    "-0",
    "99999999999999999999999999999999",
    "0x7fffffffffffffff",
    "NaN",
    ".inf",
    "null",
    "~",
    "true",
    "2026-13-45T99:99:99Z",
    "{",
    "}",
    "[[[[",
    "]]]]",
    "- - - - ",
    "? ",
    ": ",
    "|2-\n",
    ">+9\n",
    "&a ",
    "*a",
    "<<: *a\n",
    "!!binary ",
    "!!float ",
    "%YAML 9.9\n",
    "\n---\n",
    "\n...\n",
    "\r",
    "\t",
    "../../@://%00",
];

static ALONE: Mutex<()> = Mutex::new(());

/// Runs a parser on all inputs and prints a summary.
pub fn fuzz(parser: &str, samples: &[&str], parse: impl Fn(&[u8])) {
    // Measure memory for one parser at a time.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let more = std::env::var(MORE).ok();
    let count = more.map_or(INPUTS, |more| more.parse().expect("a number"));
    let extremes = extremes(samples);
    let seed = parser
        .bytes()
        .fold(7, |seed: u64, byte| seed * 31 % (1 << 40) + u64::from(byte));
    let mut random = Rng::with_seed(seed);
    let before = begin_to_measure();
    let mut panics = Vec::new();
    for number in 0..count {
        let input = match extremes.get(number) {
            Some(input) => input.clone(),
            None => broken(samples, &mut random),
        };
        if catch_unwind(AssertUnwindSafe(|| parse(&input))).is_err() {
            let start = &input[..input.len().min(400)];
            panics.push(format!("{number}: {}", String::from_utf8_lossy(start)));
        }
    }
    let peak = status("VmHWM:").saturating_sub(before) >> 10;
    println!(
        "{parser}: {count} inputs, {} panics, peak {peak} MiB",
        panics.len()
    );
    assert_eq!(panics, Vec::<String>::new(), "{parser}");
    assert!(peak <= MEMORY, "{parser} took {peak} MiB");
}

/// The current resident memory. Resets the peak.
fn begin_to_measure() -> u64 {
    // If the system does not allow the reset, an earlier peak may hide a lower one.
    let _ = fs::write("/proc/self/clear_refs", "5");
    status("VmRSS:")
}

/// A field of the process status in kB.
fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Extreme inputs: too deep, too many, too long, or empty.
fn extremes(samples: &[&str]) -> Vec<Vec<u8>> {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        [&open.repeat(depth), inner, &close.repeat(depth)].concat()
    };
    let indented = (0..3000).map(|depth| format!("{}a:\n", " ".repeat(depth)));
    let laughs = (1..40).map(|n| format!("l{n}: &l{n} [{}]\n", format!("*l{},", n - 1).repeat(9)));
    let many = (0..40_000).map(|n| format!("k{n}: 1\n"));
    let mut texts = vec![
        String::new(),
        " ".repeat(1 << 20),
        "\n".repeat(1 << 20),
        "[".repeat(200_000),
        nested("[", "", "]", 100_000),
        nested("{\"a\":", "1", "}", 100_000),
        nested("[{\"a\":", "1", "}]", 100_000),
        nested("{a: ", "1", "}", 20_000),
        nested("- ", "1", "", 20_000),
        nested("? ", "1", "", 20_000),
        nested("\"", "", "", 100_001),
        format!("\"{}\"", "\\u0041".repeat(200_000)),
        "9".repeat(1 << 20),
        indented.collect(),
        format!("l0: &l0 [x]\n{}", laughs.collect::<String>()),
        "a: &a [*a, *a, *a]\n".into(),
        "&a a: *a\n".into(),
        many.collect(),
        "--- \n".repeat(100_000),
        "a: |\n ".to_string() + &"x".repeat(1 << 20),
    ];
    // Put the same in place of each value of a sample.
    for sample in samples {
        texts.push((*sample).into());
        for deep in [
            nested("[", "", "]", 20_000),
            nested("{\"a\":", "1", "}", 20_000),
        ] {
            texts.push(sample.replacen("\": ", &format!("\": {deep}, \"x\": "), 1));
            texts.push(sample.replacen(": ", &format!(": {deep}\nx: "), 1));
        }
    }
    let mut all = texts
        .into_iter()
        .map(String::into_bytes)
        .collect::<Vec<_>>();
    all.push(vec![0xff; 1000]);
    all.push(vec![0; 1000]);
    // With CRLF line breaks.
    all.extend(samples.iter().map(|sample| {
        let units = std::iter::once(0xfeff).chain(sample.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect()
    }));
    all
}

fn broken(samples: &[&str], random: &mut Rng) -> Vec<u8> {
    let mut sample = || samples[random.usize(..samples.len())].as_bytes().to_vec();
    let (mut input, other) = (sample(), sample());
    for _ in 0..random.usize(1..7) {
        change(&mut input, &other, random);
    }
    input
}

fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Rng) {
    let at = random.usize(..=input.len());
    let to = random.usize(at..=input.len().min(at + 40));
    match random.u8(..9) {
        0 if at < input.len() => input[at] ^= 1 << random.u8(..8),
        1 => input.truncate(at),
        2 => drop(input.drain(at..to)),
        3 => {
            let twice = input[at..to].to_vec();
            input.splice(at..at, twice);
        }
        4 => {
            let token = TOKENS[random.usize(..TOKENS.len())];
            input.splice(at..to, token.bytes());
        }
        5 => {
            let from = random.usize(..=other.len());
            input.truncate(at);
            input.extend(&other[from..]);
        }
        6 if input.len() < LONGEST => {
            let again = input[at..to].repeat(random.usize(1..200));
            input.splice(at..at, again);
        }
        7 => drop(input.splice(at..at, std::iter::repeat_with(|| random.u8(..)).take(5))),
        _ => {
            let token = TOKENS[random.usize(..TOKENS.len())];
            input.splice(at..at, token.bytes());
        }
    }
}

#[test]
fn the_same_inputs_come_again_and_most_are_different() {
    let inputs = || {
        let mut random = Rng::with_seed(1);
        let inputs = (0..200).map(|_| broken(&["{\"a\": [1, 2]}", "b: c\n"], &mut random));
        inputs.collect::<Vec<_>>()
    };
    assert_eq!(inputs(), inputs());
    let different = inputs()
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>();
    assert!(different.len() > 150, "{}", different.len());
}

#[test]
fn a_parser_that_panics_is_found() {
    let found = catch_unwind(|| {
        fuzz("a bad one", &["a: 1\n"], |input| {
            assert!(!input.contains(&b'['));
        })
    });
    assert!(found.is_err());
}
