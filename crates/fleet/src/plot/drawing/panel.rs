//! The buckets beside the tree: a bar for each, with its colour, bytes and share.

use std::collections::BTreeMap;

use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;
use plotters::style::{Color as _, RGBColor};

use super::words::{bytes, counted};
use super::{Canvas, FAINT_INK, INK, Lettering, PANEL, corners, drawn, float};
use crate::amount::{Amount, By};
use crate::plot::area::Area;
use crate::plot::colour::COLOURS;

/// Where the bars of buckets with names begin, and how long the longest is.
const BARS: f64 = 56.0;
const BAR_LENGTH: f64 = 150.0;

/// The highest row of a bucket.
const ROW: f64 = 34.0;

/// What is told of many buckets instead of a row for each.
const TOLD: f64 = 64.0;

const TRACK: RGBColor = RGBColor(240, 241, 244);

impl Canvas<'_> {
    /// Bars, with the mean as a line across them.
    pub(super) fn panel(&mut self, buckets: &BTreeMap<u64, Amount>) {
        let weights: Vec<(u64, u64, Amount)> =
            buckets.iter().map(|(number, it)| (*number, self.by.weight(*it), *it)).collect();
        let largest = weights.iter().map(|(_, weight, _)| *weight).max().unwrap_or(0);
        let total: f64 = weights.iter().map(|(_, weight, _)| float(*weight)).sum();
        if largest == 0 {
            return;
        }
        let mean = total / float(weights.len() as u64) / float(largest);
        if weights.len() <= COLOURS {
            self.rows(&weights, (float(largest), total));
            let height = row_height(weights.len()) * float(weights.len() as u64);
            let bars = Area { left: PANEL.left + BARS, width: BAR_LENGTH, height, ..PANEL };
            self.mean(bars, mean);
        } else {
            self.told(&weights, total);
            let bars = Area { top: PANEL.top + TOLD, height: PANEL.height - TOLD, ..PANEL };
            self.many(&weights, float(largest), bars);
            self.mean(bars, mean);
        }
    }

    fn rows(&mut self, weights: &[(u64, u64, Amount)], (largest, total): (f64, f64)) {
        let height = row_height(weights.len());
        let size = (height * 0.62).clamp(7.5, 13.0);
        let mut middle = PANEL.top + height / 2.0;
        for (number, weight, amount) in weights {
            let bar = Area {
                left: PANEL.left + BARS,
                top: middle - height * 0.36,
                width: BAR_LENGTH,
                height: height * 0.72,
            };
            self.fill(bar, TRACK.into());
            let length = BAR_LENGTH * float(*weight) / largest;
            let fill = self.colour(*number).fill;
            self.fill(Area { width: length, ..bar }, fill.into());
            let name = Lettering::of(size, INK).bold().anchored(HPos::Right);
            self.text(&number.to_string(), (bar.left - 8.0, middle), name);
            let told = match self.by {
                By::Files => counted(amount.entries, "entry", "entries"),
                By::Size | By::Cost { .. } => bytes(amount.bytes),
            };
            let right = Lettering::of(size, INK).anchored(HPos::Right);
            self.text(&told, (PANEL.right() - 52.0, middle), right);
            let share = format!("{:.1} %", 100.0 * float(*weight) / total);
            let faint = Lettering::of(size, FAINT_INK).anchored(HPos::Right);
            self.text(&share, (PANEL.right(), middle), faint);
            middle += height;
        }
    }

    /// The largest and the smallest of many.
    fn told(&mut self, weights: &[(u64, u64, Amount)], total: f64) {
        let largest = weights.iter().max_by_key(|(_, weight, _)| *weight);
        let smallest = weights.iter().min_by_key(|(_, weight, _)| *weight);
        let mut middle = PANEL.top + 8.0;
        for (word, bucket) in [("largest", largest), ("smallest", smallest)] {
            if let Some((number, weight, amount)) = bucket {
                let told = format!(
                    "{word}: {number}, {} in {}, {:.2} %",
                    bytes(amount.bytes),
                    counted(amount.entries, "entry", "entries"),
                    100.0 * float(*weight) / total,
                );
                self.text(&told, (PANEL.left, middle), Lettering::of(13.0, INK));
                middle += 20.0;
            }
        }
    }

    /// Bars without names; where there are more than pixels, the largest of several.
    fn many(&mut self, weights: &[(u64, u64, Amount)], largest: f64, bars: Area) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
        let several = weights.len().div_ceil(bars.height as usize).max(1);
        let height = bars.height / float(weights.len().div_ceil(several) as u64);
        let mut top = bars.top;
        for several in weights.chunks(several) {
            if let Some((number, weight, _)) = several.iter().max_by_key(|(_, weight, _)| *weight) {
                let width = bars.width * float(*weight) / largest;
                let fill = self.colour(*number).fill;
                self.fill(Area { top, width, height, ..bars }, fill.into());
            }
            top += height;
        }
    }

    fn mean(&mut self, bars: Area, mean: f64) {
        let line = Area { left: bars.left + bars.width * mean, width: 0.0, ..bars };
        let ((left, top), (_, bottom)) = corners(line);
        drawn(self.backend.draw_line((left, top - 4), (left, bottom), &INK.mix(0.8)));
        let lettering = Lettering::of(11.0, FAINT_INK).anchored(HPos::Center);
        self.text("mean", (line.left, bars.top - 11.0), lettering);
    }
}

fn row_height(buckets: usize) -> f64 {
    (PANEL.height / float(buckets as u64)).min(ROW)
}
