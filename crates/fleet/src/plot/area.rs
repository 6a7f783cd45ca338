//! Rectangles of given areas, as square as they can be.

/// A rectangle of the picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    pub(super) fn right(self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.top + self.height
    }

    /// Cuts off a share of it along its shorter side; gives that and what is left.
    fn cut(self, share: f64) -> (Self, Self) {
        if self.width >= self.height {
            let width = self.width * share;
            let rest = Self { left: self.left + width, width: self.width - width, ..self };
            (Self { width, ..self }, rest)
        } else {
            let height = self.height * share;
            let rest = Self { top: self.top + height, height: self.height - height, ..self };
            (Self { height, ..self }, rest)
        }
    }
}

/// Shares a rectangle out to weights, the largest first, each of them above 0.
///
/// As in M. Bruls, K. Huizing, J. van Wijk: Squarified Treemaps, Proceedings of the Joint Eurographics and
/// IEEE TCVG Symposium on Visualization, 2000. Rows are laid along the shorter side of what is left, and one
/// gets no more when its worst rectangle would become longer than it is.
pub(super) fn squarified(mut area: Area, weights: &[f64]) -> Vec<Area> {
    let mut areas = Vec::with_capacity(weights.len());
    let mut total: f64 = weights.iter().sum();
    let mut rest = weights;
    while let [first, ..] = rest {
        let side = area.width.min(area.height);
        let scale = area.width * area.height / total;
        let mut row = 1;
        let mut sum = *first;
        let mut worst = longest(side, *first, *first, sum, scale);
        while let Some(next) = rest.get(row) {
            let with_next = longest(side, *first, *next, sum + next, scale);
            if with_next > worst {
                break;
            }
            (row, sum, worst) = (row + 1, sum + next, with_next);
        }
        let (laid, left) = rest.split_at(row);
        // What is added up in another order may differ in the last bit.
        let (mut strip, remainder) =
            area.cut(if left.is_empty() { 1.0 } else { (sum / total).min(1.0) });
        for weight in laid {
            let (own, others) = strip.cut_across(area, (weight / sum).min(1.0));
            areas.push(own);
            (strip, sum) = (others, sum - weight);
        }
        (area, rest, total) = (remainder, left, left.iter().sum());
    }
    areas
}

impl Area {
    /// Cuts off a share of a strip of `of` the other way.
    fn cut_across(self, of: Self, share: f64) -> (Self, Self) {
        if of.width >= of.height {
            let height = self.height * share;
            let rest = Self { top: self.top + height, height: self.height - height, ..self };
            (Self { height, ..self }, rest)
        } else {
            let width = self.width * share;
            let rest = Self { left: self.left + width, width: self.width - width, ..self };
            (Self { width, ..self }, rest)
        }
    }
}

/// How long the longest rectangle of a row is to its width: the heaviest or the lightest one.
fn longest(side: f64, heaviest: f64, lightest: f64, sum: f64, scale: f64) -> f64 {
    let (side, sum) = (side * side, sum * sum * scale);
    (side * heaviest / sum).max(sum / (side * lightest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: Area = Area { left: 10.0, top: 20.0, width: 600.0, height: 400.0 };

    #[test]
    fn the_example_of_the_paper_comes_out_as_there() {
        let area = Area { left: 0.0, top: 0.0, width: 6.0, height: 4.0 };
        let areas = squarified(area, &[6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0]);
        let shown = |area: &Area| {
            let Area { left, top, width, height } = area;
            format!("{left:.2} {top:.2} {width:.2} {height:.2}")
        };
        let shown: Vec<_> = areas.iter().take(5).map(shown).collect();
        let left = ["0.00 0.00 3.00 2.00", "0.00 2.00 3.00 2.00"];
        let right = ["3.00 0.00 1.71 2.33", "4.71 0.00 1.29 2.33", "3.00 2.33 1.20 1.67"];
        assert_eq!(shown, [&left[..], &right[..]].concat());
    }

    proptest! {
        #[test]
        fn areas_are_the_weights_and_do_not_overlap(
            mut weights in prop::collection::vec(0.001..1000.0f64, 1..60),
        ) {
            weights.sort_by(|one, other| other.total_cmp(one));
            let areas = squarified(WHOLE, &weights);
            prop_assert_eq!(areas.len(), weights.len());
            let scale = WHOLE.width * WHOLE.height / weights.iter().sum::<f64>();
            for (area, weight) in areas.iter().zip(&weights) {
                let (is, wanted) = (area.width * area.height, weight * scale);
                prop_assert!((is - wanted).abs() <= wanted * 1e-6 + 1e-6, "{} for {}", is, wanted);
                let slack = 1e-6;
                prop_assert!(area.left >= WHOLE.left - slack && area.top >= WHOLE.top - slack);
                prop_assert!(area.right() <= WHOLE.right() + slack);
                prop_assert!(area.bottom() <= WHOLE.bottom() + slack);
            }
            for (at, one) in areas.iter().enumerate() {
                for other in &areas[at + 1..] {
                    let wide = one.right().min(other.right()) - one.left.max(other.left);
                    let high = one.bottom().min(other.bottom()) - one.top.max(other.top);
                    prop_assert!(wide <= 1e-6 || high <= 1e-6, "{:?} {:?}", one, other);
                }
            }
        }
    }
}
