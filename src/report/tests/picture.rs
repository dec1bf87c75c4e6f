//! The picture alone.

use roxmltree::Node;

use super::{Format, parsed, rendered, samples};

type Rectangle = [f64; 4];

fn number(node: Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).expect(name).parse().expect(name)
}

fn boxes(svg: Node<'_, '_>) -> Vec<Rectangle> {
    let boxes = svg.descendants();
    let boxes = boxes.filter(|node| node.attribute("class") == Some("box"));
    boxes
        .map(|node| {
            let (x, y) = (number(node, "x"), number(node, "y"));
            [x, y, x + number(node, "width"), y + number(node, "height")]
        })
        .collect()
}

#[test]
fn boxes_lie_beside_each_other_inside_of_the_picture() {
    for count in 1..=16 {
        let text = rendered(Format::Svg, &samples::many(count));
        let parsed = parsed(&text);
        let svg = parsed.root_element();
        let (width, height) = (number(svg, "width"), number(svg, "height"));
        let boxes = boxes(svg);
        assert_eq!(boxes.len(), count);
        for (index, [left, top, right, bottom]) in boxes.iter().copied().enumerate() {
            assert!(left >= 0.0 && top >= 0.0 && right <= width && bottom <= height);
            for [other_left, other_top, other_right, other_bottom] in &boxes[..index] {
                let beside = right < *other_left || *other_right < left;
                let below = bottom < *other_top || *other_bottom < top;
                assert!(beside || below, "{count}: {boxes:?}");
            }
        }
        let lines = svg.descendants().filter(|n| {
            n.attribute("d")
                .is_some_and(|d| d.starts_with('M') && d.contains('L'))
                && n.attribute("class").is_some_and(|c| c.starts_with("line"))
        });
        assert_eq!(lines.count(), count * (count - 1));
    }
}

#[test]
fn it_has_a_title_a_description_and_a_word_for_each_verdict() {
    let text = rendered(Format::Svg, &samples::broken());
    let parsed = parsed(&text);
    let svg = parsed.root_element();
    assert!(svg.has_tag_name(("http://www.w3.org/2000/svg", "svg")));
    let named = |id: &str| {
        let node = svg
            .descendants()
            .find(|node| node.attribute("id") == Some(id));
        let text = node.and_then(|node| node.text()).expect(id);
        text.trim().to_string()
    };
    assert_eq!(
        named("picture-title"),
        "Not verified: flows between eu-central, us-east, ap-south"
    );
    let described = named("picture-desc");
    assert!(described.contains("eu-central to ap-south: broken at destination ztunnel."));
    let labels = svg
        .descendants()
        .filter(|n| n.attribute("class") == Some("label"));
    let mut labels = labels.filter_map(|n| n.text()).collect::<Vec<_>>();
    labels.sort_unstable();
    assert_eq!(labels, ["broken", "ok", "ok", "ok", "skipped", "unproven"]);
    let silent = svg
        .descendants()
        .filter(|n| n.is_text() && n.text() == Some("did not answer"));
    assert_eq!(silent.count(), 1);
}

#[test]
fn it_loads_nothing_and_runs_nothing() {
    for ended in samples::all() {
        let text = rendered(Format::Svg, &ended);
        let parsed = parsed(&text);
        for node in parsed.descendants().filter(Node::is_element) {
            let name = node.tag_name().name();
            let known = ["svg", "title", "desc", "style", "rect", "g", "path", "text"];
            assert!(known.contains(&name), "{name}");
            for attribute in node.attributes() {
                let name = attribute.name();
                assert!(!name.starts_with("on") && !name.contains("href"), "{name}");
            }
        }
    }
    for active in ["@import", "url(", "http"] {
        assert!(!crate::report::svg::STYLE.contains(active), "{active}");
    }
}
