//! Modes as letters: `rwxr-sr-t`.

/// The nine letters of `mode`.
pub(crate) fn letters(mode: u32) -> String {
    let mut letters = String::with_capacity(9);
    for (shift, special, set, unset) in
        [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = mode >> shift;
        letters.push(if bits & 4 == 0 { '-' } else { 'r' });
        letters.push(if bits & 2 == 0 { '-' } else { 'w' });
        letters.push(match (mode & special == 0, bits & 1 == 0) {
            (true, true) => '-',
            (true, false) => 'x',
            (false, true) => unset,
            (false, false) => set,
        });
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn special_bits_take_the_place_of_x() {
        for (mode, expected) in [
            (0o755, "rwxr-xr-x"),
            (0o000, "---------"),
            (0o7644, "rwSr-Sr-T"),
            (0o7755, "rwsr-sr-t"),
            (0o1777, "rwxrwxrwt"),
        ] {
            assert_eq!(letters(mode), expected, "{mode:o}");
        }
    }
}
