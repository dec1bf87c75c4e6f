//! Limits on response bodies: a server, or a proxy on the way to it, may send an endless response. There are
//! limits for the bytes of one response, of one line of a stream and of all responses in flight, and for the
//! number of objects in a response, because a few bytes of JSON can take much memory.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request};
use hyper::body::{Body, Frame, SizeHint};
use kube::client::Body as Answer;

const LARGEST: usize = 64 << 20;
/// A watch event holds one object, and etcd stores none larger than a few megabytes.
const LONGEST_LINE: usize = 8 << 20;
/// Limit for all responses in flight; responses below `SMALL` are always accepted.
const ALL: usize = 160 << 20;
const SMALL: usize = 4 << 20;
/// A page of 500 pods with sidecars has a tenth of this.
const MOST_OBJECTS: usize = 500_000;

static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug, thiserror::Error)]
pub enum TooLarge {
    #[error("its answer to {0} is larger than {mib} MiB", mib = LARGEST >> 20)]
    Answer(String),
    #[error("its answer to {0} has a line longer than {mib} MiB", mib = LONGEST_LINE >> 20)]
    Line(String),
    #[error("its answers together are larger than {mib} MiB, including the one to {0}", mib = ALL >> 20)]
    All(String),
    #[error("its answer to {0} has more than {MOST_OBJECTS} objects")]
    Objects(String),
}

/// Finds an error of type `E` in the chain of an error.
pub fn found<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        // `io::Error::source` skips the error that it wraps, so look at that one too.
        let inner = wrapped.and_then(|inner| inner.downcast_ref());
        if let Some(found) = error.downcast_ref().or(inner) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// How a response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Whole,
    /// A stream of lines without a limit on their number.
    Lines,
}

/// A request as errors describe it, and how its response is read.
#[derive(Clone, Debug)]
pub struct Question {
    text: String,
    reading: Reading,
}

impl Question {
    pub fn of(request: &Request<Answer>) -> Question {
        let query = request.uri().query().unwrap_or_default();
        let is_stream = |pair: &str| matches!(pair, "watch=true" | "watch=1" | "follow=true");
        let reading = match *request.method() == Method::GET && query.split('&').any(is_stream) {
            true => Reading::Lines,
            false => Reading::Whole,
        };
        Question {
            text: format!("{} {}", request.method(), request.uri().path()),
            reading,
        }
    }
}

/// A response body that fails as soon as it exceeds a limit.
pub struct Bounded {
    body: Answer,
    question: Question,
    /// Bytes of the response so far, or of the current line.
    length: usize,
    objects: Objects,
    failed: bool,
}

impl Bounded {
    pub fn new(body: Answer, question: Question) -> Bounded {
        Bounded {
            body,
            question,
            length: 0,
            objects: Objects::default(),
            failed: false,
        }
    }

    fn count(&mut self, data: &[u8]) -> Result<(), TooLarge> {
        let question = || self.question.text.clone();
        match self.question.reading {
            Reading::Lines => {
                for line in data.split_inclusive(|byte| *byte == b'\n') {
                    self.length += line.len();
                    if self.length > LONGEST_LINE {
                        return Err(TooLarge::Line(question()));
                    }
                    if line.ends_with(b"\n") {
                        self.length = 0;
                    }
                }
            }
            Reading::Whole => {
                self.length += data.len();
                let all = UNDER_WAY.fetch_add(data.len(), Ordering::Relaxed) + data.len();
                if self.length > LARGEST {
                    return Err(TooLarge::Answer(question()));
                }
                if all > ALL && self.length > SMALL {
                    return Err(TooLarge::All(question()));
                }
                if self.objects.count(data) > MOST_OBJECTS {
                    return Err(TooLarge::Objects(question()));
                }
            }
        }
        Ok(())
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        if self.question.reading == Reading::Whole {
            UNDER_WAY.fetch_sub(self.length, Ordering::Relaxed);
        }
    }
}

impl Body for Bounded {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.failed {
            return Poll::Ready(None);
        }
        let next = ready!(Pin::new(&mut self.body).poll_frame(context));
        let counted = match next {
            Some(Ok(frame)) => match frame.data_ref().map(|data| self.count(data)) {
                Some(Err(error)) => Err(error.into()),
                Some(Ok(())) | None => Ok(frame),
            },
            Some(Err(error)) => Err(error.into()),
            None => return Poll::Ready(None),
        };
        self.failed = counted.is_err();
        Poll::Ready(Some(counted))
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Counts the objects and lists of a JSON text, and every eighth of its other values.
#[derive(Default)]
struct Objects {
    seen: usize,
    values: usize,
    in_text: bool,
    escaped: bool,
}

impl Objects {
    fn count(&mut self, data: &[u8]) -> usize {
        for byte in data {
            match byte {
                _ if std::mem::take(&mut self.escaped) => {}
                b'\\' if self.in_text => self.escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' | b'[' => self.seen += 1,
                b',' => self.values += 1,
                _ => {}
            }
        }
        self.seen + self.values / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str) -> Question {
        Question::of(&Request::get(uri).body(Answer::empty()).unwrap())
    }

    fn read(uri: &str, chunk: &[u8], times: usize) -> Result<(), String> {
        let mut body = Bounded::new(Answer::empty(), asked(uri));
        let mut chunks = (0..times).map(|_| body.count(chunk));
        chunks.try_for_each(|counted| counted.map_err(|error| error.to_string()))
    }

    #[test]
    fn the_length_of_a_response_and_of_a_line_is_limited() {
        let mebibyte = vec![b' '; 1 << 20];
        assert_eq!(read("/api/v1/pods?limit=500", &mebibyte, 64), Ok(()));
        assert_eq!(
            read("/api/v1/pods?limit=500", &mebibyte, 65).unwrap_err(),
            "its answer to GET /api/v1/pods is larger than 64 MiB"
        );
        let watch = "/api/v1/pods?watch=true";
        let line = [&mebibyte[1..], b"\n"].concat();
        assert_eq!(read(watch, &line, 500), Ok(()));
        assert_eq!(
            read(watch, &mebibyte, 9).unwrap_err(),
            "its answer to GET /api/v1/pods has a line longer than 8 MiB"
        );
    }

    #[test]
    fn the_number_of_objects_in_a_response_is_limited() {
        let error = read("/api/v1/pods", b"[{},{},{},{},{},{},{},{}]", 100_000).unwrap_err();
        assert_eq!(
            error,
            "its answer to GET /api/v1/pods has more than 500000 objects"
        );
        let error = read("/api/v1/pods", b"0,0,0,0,0,0,0,0,", 1_000_000).unwrap_err();
        assert!(error.contains("objects"), "{error}");
        let text = Objects::default().count(b"{\"a{,\\\"[{\": \"\\\\\"}");
        assert_eq!(text, 1);
    }
}
