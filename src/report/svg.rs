//! A picture of the clusters and the flows between them. It has its own style, so it is the same alone and in a page.

use std::f64::consts::{FRAC_PI_2, PI, TAU};

use anyhow::Result;
use serde::Serialize;

use super::template;
use super::view::{FlowView, View};
use crate::visible;

pub const STYLE: &str = include_str!("picture.css");

/// Size of the box of a cluster.
const BOX: Point = Point { x: 120.0, y: 68.0 };
const MARGIN: f64 = 6.0;
/// From one box to the next on the circle.
const SPACING: f64 = 180.0;
/// Smallest width; a phone shows it without shrinking the text much.
const WIDTH: f64 = 372.0;
/// Smallest circle on which a label fits between two boxes.
const RADIUS: f64 = 140.0;
const LEGEND: f64 = 28.0;
/// Between the lines of both directions.
const APART: f64 = 8.0;
/// With more clusters, only the flows that fail have a label: others would cover each other.
const LABELLED: usize = 4;
const LONGEST_NAME: usize = 12;

#[derive(Clone, Copy, Debug, Serialize)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Serialize)]
struct Picture<'a> {
    style: &'static str,
    size: Point,
    width: f64,
    height: f64,
    legend: f64,
    title: String,
    flows: &'a [FlowView],
    nodes: Vec<Node<'a>>,
    edges: Vec<Edge<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    corner: Point,
    middle: Point,
    name: &'a str,
    short: String,
    /// Empty for a cluster that did not answer.
    role: &'a str,
    within: Option<&'static str>,
}

#[derive(Serialize)]
struct Edge<'a> {
    flow: &'a FlowView,
    start: Point,
    end: Point,
    /// The corners of the arrow's head beside its tip.
    left: Point,
    right: Point,
    label: Option<Point>,
}

pub fn picture(view: &View) -> Result<String> {
    let (width, height, middles) = layout(view.names.len());
    let nodes = view.names.iter().zip(&middles);
    let mut edges = edges(view, &middles);
    // What fails is drawn last, and so on top.
    edges.sort_by_key(|edge| edge.flow.fails);
    let picture = Picture {
        style: STYLE,
        size: BOX,
        width,
        height,
        legend: height - 10.0,
        title: format!("{}: flows between {}", view.title, view.names.join(", ")),
        flows: &view.flows,
        nodes: nodes
            .map(|(name, middle)| node(view, name, *middle))
            .collect(),
        edges,
    };
    template::render(include_str!("picture.svg"), picture)
}

/// Width, height and the middles of the boxes: two side by side, more on a circle.
fn layout(count: usize) -> (f64, f64, Vec<Point>) {
    let (radius, first) = match count {
        0 | 1 => (0.0, 0.0),
        2 => ((WIDTH - BOX.x) / 2.0 - MARGIN, PI),
        _ => ((SPACING * count as f64 / TAU).max(RADIUS), -FRAC_PI_2),
    };
    let places = (0..count).map(|index| {
        let angle = first + TAU * index as f64 / count as f64;
        Point {
            x: radius * angle.cos(),
            y: radius * angle.sin(),
        }
    });
    let places = places.collect::<Vec<_>>();
    let (left, right) = ends(places.iter().map(|place| place.x));
    let (top, bottom) = ends(places.iter().map(|place| place.y));
    let width = WIDTH.max(right - left + BOX.x + 2.0 * MARGIN).ceil();
    let height = (bottom - top + BOX.y + 2.0 * MARGIN + LEGEND).ceil();
    let middle = |place: &Point| {
        let x = (width - left - right) / 2.0;
        place.moved(x, MARGIN + BOX.y / 2.0 - top)
    };
    (width, height, places.iter().map(middle).collect())
}

fn ends(numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    let both = numbers.map(|number| (number, number));
    let both = both.reduce(|(low, high), (number, _)| (low.min(number), high.max(number)));
    both.unwrap_or_default()
}

fn node<'a>(view: &'a View, name: &'a str, middle: Point) -> Node<'a> {
    let cluster = view.clusters.iter().find(|cluster| cluster.name == name);
    let within = view.flows.iter().find(|f| f.from == name && f.to == name);
    Node {
        corner: middle.moved(-BOX.x / 2.0, -BOX.y / 2.0),
        middle,
        name,
        short: visible::short(name, LONGEST_NAME).into_owned(),
        role: cluster.map_or("", |cluster| &cluster.role),
        within: within.map(|flow| flow.verdict),
    }
}

fn edges<'a>(view: &'a View, middles: &[Point]) -> Vec<Edge<'a>> {
    let middle = |name: &str| {
        let index = view.names.iter().position(|one| one == name)?;
        middles.get(index).copied()
    };
    let between = view.flows.iter().filter(|flow| flow.from != flow.to);
    let edge = |flow: &'a FlowView| {
        let is_labelled = flow.fails || view.names.len() <= LABELLED;
        let between = (middle(&flow.from)?, middle(&flow.to)?);
        // Two flows share the space between two boxes; others cross in the middle of the circle.
        let along = if view.names.len() == 2 { 0.5 } else { 0.35 };
        Some(edge(flow, between, is_labelled.then_some(along)))
    };
    between.filter_map(edge).collect()
}

/// `along` is the place of the label between both ends.
fn edge<'a>(flow: &'a FlowView, (from, to): (Point, Point), along: Option<f64>) -> Edge<'a> {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let length = dx.hypot(dy).max(1.0);
    let (dx, dy) = (dx / length, dy / length);
    // To the left of the direction, so that the opposite flow is beside it.
    let aside = |point: Point, by: f64| point.moved(dy * by, -dx * by);
    let inside = (BOX.x / 2.0 / dx.abs().max(1e-6)).min(BOX.y / 2.0 / dy.abs().max(1e-6));
    let on_line = |at: f64| aside(from.moved(dx * at, dy * at), APART);
    let (first, last) = (inside + 2.0, length - inside - 4.0);
    let back = on_line(last - 9.0);
    Edge {
        flow,
        start: on_line(first),
        end: on_line(last),
        left: aside(back, 4.5),
        right: aside(back, -4.5),
        label: along.map(|along| {
            let middle = on_line(first + (last - first) * along);
            // A label is wider than high.
            aside(middle, 11.0 + 12.0 * dy.abs()).moved(0.0, 4.0)
        }),
    }
}

impl Point {
    fn moved(self, x: f64, y: f64) -> Point {
        Point {
            x: self.x + x,
            y: self.y + y,
        }
        .rounded()
    }

    fn rounded(self) -> Point {
        let tenths = |number: f64| (number * 10.0).round() / 10.0;
        Point {
            x: tenths(self.x),
            y: tenths(self.y),
        }
    }
}
