//! Pictures read as the XML that they are.

use std::collections::HashMap;

use model::Kind;
use roxmltree::{Document, Node as Element};

use super::*;
use crate::line::Span;

/// A file or a directory that goes whole, of so many bytes.
fn line<'a>(folder: &'a str, name: &'a [u8], bytes: u64) -> Line<'a> {
    let amount = Amount { entries: 1, bytes };
    Line { folder: folder.as_bytes(), name, kind: Kind::File, span: Span::Entry, amount }
}

/// A picture of entries: bucket, folder, name, bytes.
fn drawn(by: By, entries: &[(u64, &str, &[u8], u64)]) -> String {
    let mut picture = Picture::new(b"/srv/data", by);
    for (bucket, folder, name, bytes) in entries {
        picture.add(*bucket, &line(folder, name, *bytes));
    }
    picture.draw()
}

fn number(element: Element<'_, '_>, attribute: &str) -> f64 {
    element.attribute(attribute).unwrap().parse().unwrap()
}

/// What is coloured of the map, by colour: the part of the picture that is left of the bars.
fn areas(svg: &str) -> HashMap<String, f64> {
    let document = Document::parse(svg).unwrap();
    let mut areas = HashMap::new();
    let rectangles = document.descendants().filter(|element| element.has_tag_name("rect"));
    for rectangle in rectangles {
        let fill = rectangle.attribute("fill").unwrap();
        let is_in_map = number(rectangle, "x") < 1050.0 && number(rectangle, "y") > 70.0;
        if is_in_map && fill != "none" && number(rectangle, "opacity") > 0.9 {
            let area = number(rectangle, "width") * number(rectangle, "height");
            *areas.entry(fill.to_owned()).or_default() += area;
        }
    }
    // What lies below it all.
    areas.remove("#F0F1F4");
    areas
}

fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let texts = document.descendants().filter(|element| element.has_tag_name("text"));
    texts.map(|text| text.text().unwrap().trim().to_owned()).collect()
}

fn colours(count: usize) -> Vec<String> {
    let shown = |colour: colour::Colour| {
        let plotters::style::RGBColor(red, green, blue) = colour.fill;
        format!("#{red:02X}{green:02X}{blue:02X}")
    };
    colour::palette().into_iter().take(count).map(shown).collect()
}

#[test]
fn areas_are_what_the_buckets_weigh() {
    let mut picture = Picture::new(b"/", By::Size);
    let mut totals = [0.0; 6];
    for (number, seed) in (0..600u64).zip((1..).map(|n: u64| n.wrapping_mul(2_654_435_761) >> 7)) {
        let (bucket, bytes) = (1 + number % 6, seed % 100_000 * (1 + number % 6));
        let folder = format!("d{}/e{}", number % 7, number % 11);
        picture.add(bucket, &line(&folder, format!("f{number}").as_bytes(), bytes));
        totals[usize::try_from(bucket - 1).unwrap()] += f64::from(u32::try_from(bytes).unwrap());
    }
    let areas = areas(&picture.draw());
    let (all, sum) = (areas.values().sum::<f64>(), totals.iter().sum::<f64>());
    assert!((all - 1020.0 * 792.0).abs() < 0.01 * all, "{all} of the map is coloured");
    for (colour, total) in colours(6).iter().zip(totals) {
        let (is, wanted) = (areas[colour] / all, total / sum);
        assert!((is - wanted).abs() < 0.01, "{colour} has {is} and weighs {wanted}");
    }
}

#[test]
fn areas_are_entries_where_these_are_what_counts() {
    let mut picture = Picture::new(b"/", By::Files);
    for number in 0..300 {
        picture
            .add(1 + u64::from(number % 3 == 0), &line("", format!("{number}").as_bytes(), number));
    }
    let areas = areas(&picture.draw());
    let colours = colours(2);
    let ratio = areas[&colours[0]] / areas[&colours[1]];
    assert!((ratio - 2.0).abs() < 0.1, "{ratio}");
}

#[test]
fn hostile_names_do_no_harm() {
    let names: [&[u8]; 8] = [
        b"<script>alert(1)</script>",
        b"]]><!--&amp;'\"",
        b"\x1b[31m\x00\x07 red",
        b"not \xff\xfe UTF-8 \xed\xa0\x80",
        "\u{202e}gnp.exe \u{ffff}\u{fffe}".as_bytes(),
        b"a\nb\r\tc",
        "\u{6f22}\u{5b57}\u{1f600}".as_bytes(),
        b" ",
    ];
    let mut picture = Picture::new(b"<title>&\x01\xff", By::Size);
    for (name, bucket) in names.iter().zip(1..) {
        picture.add(bucket, &line("", name, 1000));
        // As a directory with two entries.
        for entry in [b"one", b"two"] {
            let mut below = line("", entry, 1000);
            below.folder = name;
            picture.add(bucket, &below);
        }
    }
    let svg = picture.draw();
    assert!(!svg.contains("<script") && !svg.contains("<title"), "{svg}");
    let document = Document::parse(&svg).unwrap();
    for element in document.descendants().filter(Element::is_element) {
        let name = element.tag_name().name();
        assert!(["svg", "rect", "text", "polyline", "line"].contains(&name), "{name}");
    }
    let texts = texts(&svg);
    assert!(texts.iter().any(|text| text == "<script>alert(1)</script>"), "{texts:?}");
    let is_harmless = |text: &String| !text.chars().any(|c| c.is_control() || c == '\u{202e}');
    assert!(texts.iter().all(is_harmless), "{texts:?}");
}

#[test]
fn one_bucket_has_one_colour_and_all_of_it() {
    let svg = drawn(By::Size, &[(9, "a", b"x", 10), (9, "a", b"y", 20), (9, "", b"z", 30)]);
    assert_eq!(areas(&svg).len(), 1);
    let texts = texts(&svg);
    for text in ["/srv/data", "9", "100.0 %", "60 B", "x", "y", "z", "mean"] {
        assert!(texts.iter().any(|it| it == text), "{text}: {texts:?}");
    }
    assert!(
        texts[1].contains("60 B in 3 entries, in 1 bucket · largest over mean 1.000"),
        "{texts:?}"
    );
}

#[test]
fn nothing_weighs_nothing_and_is_drawn_all_the_same() {
    assert!(areas(&Picture::new(b"", By::Size).draw()).is_empty());
    let mut picture = Picture::new(b"empty", By::Size);
    picture.add_bucket(1);
    assert!(areas(&picture.draw()).is_empty());
    // Files without a byte have the area of an entry each, and beside others they have none.
    let empty = drawn(By::Size, &[(1, "", b"a", 0), (2, "", b"b", 0), (2, "", b"c", 0)]);
    let found = areas(&empty);
    let ratio = found[&colours(2)[1]] / found[&colours(2)[0]];
    assert!((ratio - 2.0).abs() < 0.05, "{ratio}");
    assert!(texts(&empty)[1].ends_with("areas are numbers of entries"));
    let beside = drawn(By::Size, &[(1, "", b"a", 0), (2, "", b"b", 5)]);
    assert_eq!(areas(&beside).into_keys().collect::<Vec<_>>(), [colours(2)[1].clone()]);
}

#[test]
fn weights_that_no_number_holds_are_drawn() {
    let most = u64::MAX;
    let svg =
        drawn(By::Cost { bytes_per_entry: most }, &[(1, "", b"a", most), (2, "", b"b", most)]);
    let areas = areas(&svg);
    assert!((areas[&colours(2)[0]] / areas[&colours(2)[1]] - 1.0).abs() < 0.05, "{areas:?}");
}

#[test]
fn many_buckets_have_bars_without_names() {
    let mut picture = Picture::new(b"/", By::Size);
    for bucket in 1..=500 {
        picture.add(bucket, &line("", format!("{bucket}").as_bytes(), 1000 + bucket));
    }
    let svg = picture.draw();
    let document = Document::parse(&svg).unwrap();
    let bars = document
        .descendants()
        .filter(|element| element.has_tag_name("rect") && number(*element, "x") > 1060.0);
    assert_eq!(bars.count(), 500);
    let texts = texts(&svg);
    assert!(
        texts.iter().any(|text| text.starts_with("largest: 500, 1.5 KiB in 1 entry")),
        "{texts:?}"
    );
    assert!(
        texts.iter().any(|text| text.starts_with("smallest: 1, 1001 B in 1 entry")),
        "{texts:?}"
    );
}

#[test]
fn more_buckets_than_pixels_have_a_bar_together() {
    let mut picture = Picture::new(b"/", By::Size);
    for bucket in 1..=5000 {
        picture.add(bucket, &line("", b"file", 1));
    }
    let svg = picture.draw();
    let document = Document::parse(&svg).unwrap();
    let rectangles = document.descendants().filter(|element| element.has_tag_name("rect"));
    let bars: Vec<_> = rectangles.filter(|it| number(*it, "x") > 1060.0).collect();
    assert!(!bars.is_empty() && bars.len() <= 792, "{}", bars.len());
}

#[test]
fn what_is_remembered_does_not_grow_with_the_tree() {
    let mut picture = Picture::new(b"/", By::Size);
    let mut total = 0;
    for number in 0..200_000u64 {
        let folder = format!("d{}/e{}", number % 10, number % 997);
        let bytes = if number % 20_000 == 7 { 10_000_000 } else { number % 100 };
        total += bytes;
        picture.add(1 + number % 3, &line(&folder, format!("f{number}").as_bytes(), bytes));
        assert!(picture.names <= 2 * NAMES_MAX, "{}", picture.names);
    }
    assert_eq!(picture.total().bytes, total);
    assert_eq!(weight_of(&picture.root), total);
    // The big ones have kept their names.
    let svg = picture.draw();
    let texts = texts(&svg);
    for number in (7..200_000).step_by(20_000) {
        let name = format!("f{number}");
        assert!(texts.iter().any(|text| text.ends_with(&name)), "{name}: {texts:?}");
    }
    assert!(svg.len() < 4 << 20, "{} bytes", svg.len());
}

fn weight_of(node: &Node) -> u64 {
    let own: Amount = node.own.iter().map(|(_, amount)| *amount).sum();
    own.bytes + node.children.values().map(weight_of).sum::<u64>()
}

#[test]
fn a_path_of_any_depth_comes_to_an_end() {
    let deep = "a/".repeat(100_000) + "a";
    let long = "n".repeat(100_000);
    let svg = drawn(By::Size, &[(1, &deep, b"x", 10), (2, "", long.as_bytes(), 10)]);
    assert_eq!(areas(&svg).len(), 2);
    assert!(svg.len() < 100_000, "{} bytes", svg.len());
}
