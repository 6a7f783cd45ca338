//! Colours that an eye tells apart.

use plotters::style::RGBColor;

/// How many colours are told apart. From there on they come again.
pub(super) const COLOURS: usize = 64;

/// A colour as eyes see it: Oklab, in which distances are differences (B. Ottosson, 2020).
#[derive(Clone, Copy, Debug)]
struct Seen {
    lightness: f64,
    green_red: f64,
    blue_yellow: f64,
}

impl Seen {
    fn of(lightness: f64, chroma: f64, degrees: f64) -> Self {
        let (sine, cosine) = degrees.to_radians().sin_cos();
        Self { lightness, green_red: chroma * cosine, blue_yellow: chroma * sine }
    }

    fn distance(self, other: Self) -> f64 {
        let lightness = self.lightness - other.lightness;
        let (green, blue) =
            (self.green_red - other.green_red, self.blue_yellow - other.blue_yellow);
        (lightness * lightness + green * green + blue * blue).sqrt()
    }

    /// As a screen shows it; `None` if none can.
    fn on_screen(self) -> Option<RGBColor> {
        let Self { lightness, green_red: a, blue_yellow: b } = self;
        let long = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
        let medium = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
        let short = (lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
        let red = 4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short;
        let green = -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short;
        let blue = -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701 * short;
        Some(RGBColor(byte(red)?, byte(green)?, byte(blue)?))
    }
}

/// The byte of an amount of light, by the curve of sRGB.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number from 0 to 255"
)]
fn byte(light: f64) -> Option<u8> {
    if !(0.0..=1.0).contains(&light) {
        return None;
    }
    let curved =
        if light <= 0.003_130_8 { 12.92 * light } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    Some((curved * 255.0).round() as u8)
}

/// A colour, and whether what is written on it is white.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colour {
    pub(super) fill: RGBColor,
    pub(super) is_dark: bool,
}

/// Colours, each as far from those before it as there is one: few buckets have very different ones.
pub(super) fn palette() -> Vec<Colour> {
    let mut candidates = Vec::new();
    for lightness in [0.46, 0.56, 0.66, 0.76, 0.86] {
        for chroma in [0.05, 0.10, 0.15] {
            let hues = (0..72).map(|step| Seen::of(lightness, chroma, f64::from(step) * 5.0));
            candidates.extend(hues.filter_map(|seen| Some((seen, seen.on_screen()?))));
        }
    }
    // A blue first, and none near the white behind them, the grey of what is written, or black.
    let mut chosen = vec![Seen::of(0.66, 0.10, 250.0)];
    let taken =
        [(1.0, 0.0), (0.3, 0.0)].map(|(lightness, chroma)| Seen::of(lightness, chroma, 0.0));
    let mut colours = Vec::new();
    while colours.len() < COLOURS {
        let last = chosen[chosen.len() - 1];
        colours.extend(last.on_screen().map(|fill| Colour { fill, is_dark: last.lightness < 0.6 }));
        let nearest = |seen: Seen| {
            let others = chosen.iter().chain(&taken);
            others.map(|other| seen.distance(*other)).fold(f64::INFINITY, f64::min)
        };
        let next = candidates.iter().map(|(seen, _)| (*seen, nearest(*seen)));
        let next = next.max_by(|one, other| one.1.total_cmp(&other.1));
        chosen.push(next.expect("there are candidates").0);
    }
    colours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_and_black_are_where_they_should_be() {
        let near = |seen: Seen, value: u8| {
            let RGBColor(red, green, blue) = seen.on_screen().unwrap();
            [red, green, blue].iter().all(|byte| byte.abs_diff(value) <= 1)
        };
        assert!(near(Seen::of(0.999_99, 0.0, 0.0), 255));
        assert!(near(Seen::of(0.0, 0.0, 0.0), 0));
        assert!(Seen::of(0.5, 0.4, 140.0).on_screen().is_none());
    }

    #[test]
    fn no_two_colours_look_alike() {
        let colours = palette();
        assert_eq!(colours.len(), COLOURS);
        for (at, one) in colours.iter().enumerate() {
            for other in &colours[at + 1..] {
                let apart = |one: u8, other: u8| u32::from(one.abs_diff(other));
                let RGBColor(red, green, blue) = one.fill;
                let RGBColor(other_red, other_green, other_blue) = other.fill;
                let sum =
                    apart(red, other_red) + apart(green, other_green) + apart(blue, other_blue);
                assert!(sum >= 24, "{:?} {:?}", one.fill, other.fill);
            }
        }
    }
}
