//! What the picture looks like.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontStyle, RGBAColor, RGBColor, ShapeStyle, TextStyle};

use super::Node;
use super::area::{Area, squarified};
use super::colour::{COLOURS, Colour, palette};
use crate::amount::{Amount, By};

mod panel;

mod words;

pub(super) use words::shown;

/// Of the whole picture, in pixels.
const WIDTH: u32 = 1440;
const HEIGHT: u32 = 900;

const MAP: Area = Area { left: 24.0, top: 84.0, width: 1020.0, height: 792.0 };
const PANEL: Area = Area { left: 1072.0, top: 84.0, width: 344.0, height: 792.0 };

/// What would be smaller is gathered, in square pixels.
const SMALLEST: f64 = 24.0;

const INK: RGBColor = RGBColor(34, 38, 46);
const FAINT_INK: RGBColor = RGBColor(110, 116, 128);
const PAPER: RGBColor = RGBColor(255, 255, 255);

/// The line between entries is so much lighter than they are.
const HAIRLINE: f64 = 0.45;

/// Of the plate that the name of a directory stands on.
const PLATE: RGBAColor = RGBAColor(20, 22, 28, 0.72);
const PLATE_HEIGHT: f64 = 18.0;

/// What is thinner has no line around it.
const ROOM_FOR_LINE: f64 = 5.0;

/// What has less room has no name.
const ROOM_FOR_NAME: (f64, f64) = (46.0, 18.0);

/// Directories so deep have a frame, and where there is room a plate with their name.
const FRAMES: u32 = 3;

/// The weight of the lightest entry that has an area of its own, of all that there is.
pub(super) fn lightest_shown(total: u64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few thousand")]
    let places = (MAP.width * MAP.height / SMALLEST) as u64;
    (total / places).max(1)
}

/// The picture, as SVG.
pub(super) fn draw(title: &str, by: By, root: &Node, buckets: &BTreeMap<u64, Amount>) -> String {
    let mut text = String::new();
    let backend = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT));
    let numbers: Vec<u64> = buckets.keys().copied().collect();
    let mut canvas = Canvas { backend, palette: palette(), numbers, by };
    canvas.draw(title, root, buckets);
    drop(canvas);
    text
}

/// Where it is drawn.
struct Canvas<'a> {
    backend: SVGBackend<'a>,
    palette: Vec<Colour>,
    /// Of the buckets, in their order.
    numbers: Vec<u64>,
    by: By,
}

/// Where a text begins or ends, and how it looks.
#[derive(Clone, Copy)]
struct Lettering {
    size: f64,
    colour: RGBColor,
    is_bold: bool,
    anchor: HPos,
}

impl Lettering {
    const fn of(size: f64, colour: RGBColor) -> Self {
        Self { size, colour, is_bold: false, anchor: HPos::Left }
    }

    const fn bold(self) -> Self {
        Self { is_bold: true, ..self }
    }

    const fn anchored(self, anchor: HPos) -> Self {
        Self { anchor, ..self }
    }
}

impl Canvas<'_> {
    fn draw(&mut self, title: &str, root: &Node, buckets: &BTreeMap<u64, Amount>) {
        let paper =
            Area { left: 0.0, top: 0.0, width: f64::from(WIDTH), height: f64::from(HEIGHT) };
        self.fill(paper, PAPER.into());
        let title = words::fitting(title, 22.0, MAP.width + PANEL.width);
        self.text(&title, (MAP.left, 30.0), Lettering::of(22.0, INK).bold());
        let summary = words::summary(self.by, buckets);
        self.text(&summary, (MAP.left, 60.0), Lettering::of(14.0, FAINT_INK));
        self.fill(MAP, RGBColor(240, 241, 244).into());
        self.tree(root, MAP);
        self.panel(buckets);
        drawn(self.backend.present());
    }

    fn tree(&mut self, root: &Node, area: Area) {
        let mut names = Names::default();
        self.inside(root, area, 0, &mut names);
        // Above all that is coloured, the outer ones above the inner ones.
        names.plates.sort_by_key(|plate| Reverse(plate.depth));
        for plate in &names.plates {
            self.frame(plate.area, FRAMES + 1 - plate.depth);
        }
        let mut taken: Vec<Area> = Vec::new();
        for plate in names.plates.iter().rev() {
            self.plate(plate, &mut taken);
        }
        for Label { text, place, lettering } in names.labels {
            if !taken.iter().any(|other| overlap(*other, place)) {
                let middle = (place.left + place.width / 2.0, place.top + place.height / 2.0);
                self.text(&text, middle, lettering);
            }
        }
    }

    /// What lies in a directory.
    fn inside(&mut self, node: &Node, area: Area, depth: u32, names: &mut Names) {
        let own = node
            .own
            .iter()
            .map(|(bucket, amount)| (self.by.weight(*amount), Inner::Gathered { bucket: *bucket }));
        let children = node
            .children
            .iter()
            .map(|(name, node)| (weight(self.by, node), Inner::Child { name: shown(name), node }));
        let mut parts: Vec<_> = children.chain(own).filter(|(weight, _)| *weight > 0).collect();
        parts.sort_by_key(|(weight, _)| Reverse(*weight));
        let weights: Vec<f64> = parts.iter().map(|(weight, _)| float(*weight)).collect();
        for ((_, inner), area) in parts.into_iter().zip(squarified(area, &weights)) {
            match inner {
                Inner::Gathered { bucket } => self.cell(area, bucket, "", names),
                Inner::Child { name, node } => self.child(name, node, area, depth + 1, names),
            }
        }
    }

    fn child(
        &mut self,
        mut name: String,
        mut node: &Node,
        area: Area,
        depth: u32,
        names: &mut Names,
    ) {
        while let (true, 1, Some((below, child))) = (
            node.own.iter().all(|(_, own)| self.by.weight(*own) == 0),
            node.children.len(),
            node.children.first_key_value(),
        ) {
            name.push('/');
            name.push_str(&shown(below));
            node = child;
        }
        if let ([(bucket, _)], true) = (&node.own[..], node.children.is_empty()) {
            self.cell(area, *bucket, &name, names);
            return;
        }
        if depth <= FRAMES {
            names.plates.push(Plate { name, area, depth });
        }
        self.inside(node, area, depth, names);
    }

    /// What is in one bucket.
    fn cell(&mut self, area: Area, bucket: u64, name: &str, names: &mut Names) {
        let colour = self.colour(bucket);
        self.fill(area, colour.fill.into());
        if area.width >= ROOM_FOR_LINE && area.height >= ROOM_FOR_LINE {
            let (start, end) = corners(area);
            drawn(self.backend.draw_rect(start, end, &PAPER.mix(HAIRLINE), false));
        }
        if name.is_empty() || area.width < ROOM_FOR_NAME.0 || area.height < ROOM_FOR_NAME.1 {
            return;
        }
        let size = if area.height > 40.0 && area.width > 120.0 { 13.0 } else { 10.0 };
        let ink = if colour.is_dark { PAPER } else { INK };
        let text = words::fitting(name, size, area.width - 12.0);
        let (width, height) = (words::width(&text, size), 1.3 * size);
        let left = area.left + (area.width - width) / 2.0;
        let top = area.top + (area.height - height) / 2.0;
        let place = Area { left, top, width, height };
        let lettering = Lettering::of(size, ink).anchored(HPos::Center);
        names.labels.push(Label { text, place, lettering });
    }

    /// The name of a directory, where there is room and no other stands.
    fn plate(&mut self, plate: &Plate, taken: &mut Vec<Area>) {
        let Plate { area, name, depth } = plate;
        if area.width < 2.0 * ROOM_FOR_NAME.0 || area.height < 2.0 * PLATE_HEIGHT {
            return;
        }
        let lettering = Lettering::of(11.0, PAPER);
        let lettering = if *depth == 1 { lettering.bold() } else { lettering };
        let name = words::fitting(name, lettering.size, area.width - 16.0);
        let width = words::width(&name, lettering.size) + 10.0;
        let mut place =
            Area { left: area.left + 3.0, top: area.top + 3.0, width, height: PLATE_HEIGHT };
        while let Some(other) = taken.iter().find(|other| overlap(**other, place)) {
            place.top = other.bottom() + 1.0;
        }
        if place.bottom() > area.bottom() {
            return;
        }
        taken.push(place);
        self.fill(place, PLATE);
        self.text(&name, (place.left + 5.0, place.top + PLATE_HEIGHT / 2.0), lettering);
    }

    fn frame(&mut self, area: Area, width: u32) {
        if area.width < ROOM_FOR_LINE || area.height < ROOM_FOR_LINE {
            return;
        }
        let ((left, top), (right, bottom)) = corners(area);
        let path = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        drawn(self.backend.draw_path(path, &ShapeStyle::from(&PAPER).stroke_width(width)));
    }

    fn fill(&mut self, area: Area, colour: RGBAColor) {
        let (start, end) = corners(area);
        if start.0 == end.0 || start.1 == end.1 {
            return;
        }
        drawn(self.backend.draw_rect(start, end, &colour, true));
    }

    /// A text whose middle is at this height.
    fn text(&mut self, text: &str, (x, y): (f64, f64), lettering: Lettering) {
        // The backend takes it for the height of a line, and makes the letters smaller.
        let size = lettering.size * 1.24;
        let weight = if lettering.is_bold { FontStyle::Bold } else { FontStyle::Normal };
        let style = TextStyle::from(("sans-serif", size, weight));
        let style = style.color(&lettering.colour).pos(Pos::new(lettering.anchor, VPos::Center));
        drawn(self.backend.draw_text(text, &style, (pixel(x), pixel(y))));
    }

    fn colour(&self, bucket: u64) -> Colour {
        let at = self.numbers.binary_search(&bucket).unwrap_or_default();
        self.palette[at % COLOURS]
    }
}

/// What lies in a directory.
enum Inner<'a> {
    Child { name: String, node: &'a Node },
    Gathered { bucket: u64 },
}

/// What is written when all is coloured.
#[derive(Default)]
struct Names {
    plates: Vec<Plate>,
    labels: Vec<Label>,
}

/// The name of what is in one bucket.
struct Label {
    text: String,
    place: Area,
    lettering: Lettering,
}

/// The name of a directory.
struct Plate {
    name: String,
    area: Area,
    depth: u32,
}

/// A picture in memory is written to no file, so nothing can go wrong.
fn drawn<E: fmt::Debug>(result: Result<(), E>) {
    result.expect("no file is written");
}

fn overlap(one: Area, other: Area) -> bool {
    one.left < other.right()
        && other.left < one.right()
        && one.top < other.bottom()
        && other.top < one.bottom()
}

fn weight(by: By, node: &Node) -> u64 {
    let own = node.own.iter().map(|(_, amount)| by.weight(*amount));
    let children = node.children.values().map(|child| weight(by, child));
    own.chain(children).fold(0, u64::saturating_add)
}

fn corners(area: Area) -> ((i32, i32), (i32, i32)) {
    ((pixel(area.left), pixel(area.top)), (pixel(area.right()), pixel(area.bottom())))
}

#[expect(clippy::cast_possible_truncation, reason = "a place in the picture")]
fn pixel(place: f64) -> i32 {
    place.round() as i32
}

#[expect(clippy::cast_precision_loss, reason = "nobody sees the difference")]
fn float(number: u64) -> f64 {
    number as f64
}
