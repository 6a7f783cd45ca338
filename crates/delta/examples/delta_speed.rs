//! How fast signatures, searches and patches are, on one core, in MB/s of the new file.
//!
//! ```sh
//! cargo run --release -p lanesync-delta --example delta_speed -- 64
//! ```
//!
//! The number is the length of the basis in MiB. Nothing is read from disk. Each row is the best of
//! fifteen runs.

#![expect(clippy::print_stdout, reason = "tells a person what it measured")]

use std::convert::Infallible;
use std::error::Error;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use delta::{Index, Operation, Output, Part, Patch, Plan, Search, Seed, Shape, Signature, Update};

/// An operation that owns its bytes.
enum Given {
    Copy { offset: u64, length: u64 },
    Literal(Vec<u8>),
}

/// What a search has found for each part.
type Found = Vec<(Part, Vec<Given>)>;

/// Takes bytes as a buffered writer does, and forgets them.
struct Forgotten(Vec<u8>);

impl Output for Forgotten {
    fn write(&mut self, _position: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.clear();
        self.0.extend_from_slice(bytes);
        black_box(&self.0);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mib: usize = std::env::args().nth(1).map_or(Ok(64), |argument| argument.parse())?;
    let basis = noise(mib << 20, 1);
    let zeros = vec![0; basis.len()];
    let changed = {
        let mut new = basis.clone();
        let every = 100 * Shape::for_lengths(new.len() as u64, new.len() as u64).block_bytes();
        // One percent of the blocks, a byte in each.
        new.iter_mut().skip(7).step_by(every).for_each(|byte| *byte ^= 1);
        new
    };
    let scattered = {
        let mut new = basis.clone();
        new.iter_mut().skip(7).step_by(100).for_each(|byte| *byte ^= 1);
        new
    };
    println!("{:28} {:>9} {:>9} {:>9} {:>10}", "", "sign", "search", "patch", "literal B");
    measure("identical", &basis, &basis)?;
    measure("1 % of the blocks changed", &basis, &changed)?;
    measure("1 % of the bytes changed", &basis, &scattered)?;
    measure("a byte inserted in front", &basis, &[&[7], &basis[..]].concat())?;
    measure("all different", &basis, &noise(basis.len(), 2))?;
    measure("text, all different", &text(basis.len(), 1), &text(basis.len(), 2))?;
    measure("all zeros", &zeros, &zeros)?;
    measure("zeros onto noise", &basis, &zeros)?;
    measure_deceived(&zeros)
}

fn measure(name: &str, basis: &[u8], new: &[u8]) -> Result<(), Box<dyn Error>> {
    let seed = Seed::from([7; 32]);
    let shape = Shape::for_lengths(basis.len() as u64, new.len() as u64);
    let plan = Plan::new(shape, basis.len() as u64, new.len() as u64, Update::Apart);
    let (sign_time, pieces) = best_of(|| {
        let sign = |piece| Signature::new(&seed, shape, plan.piece(piece), read_at(basis));
        (0..plan.piece_count()).map(sign).collect::<Result<Vec<_>, _>>()
    })?;
    let (search_time, parts) = best_of(|| search(&seed, &plan, &pieces, new))?;
    let (patch_time, ()) = best_of(|| patch(&parts, basis))?;
    report(name, new.len(), [sign_time, search_time, patch_time], &parts);
    Ok(())
}

/// The worst that a peer can do: a weak sum that is known everywhere, with a wrong strong one.
fn measure_deceived(new: &[u8]) -> Result<(), Box<dyn Error>> {
    let seed = Seed::from([7; 32]);
    let shape = Shape::for_lengths(new.len() as u64, new.len() as u64);
    let block = shape.block_bytes() as u64;
    let plan = Plan::new(shape, block, new.len() as u64, Update::Apart);
    let mut bytes = Vec::new();
    Signature::new(&seed, shape, 0..block, read_at(new))?.encode(&mut bytes);
    *bytes.last_mut().ok_or("no sums")? ^= 1;
    let pieces = [Signature::decode(&bytes)?];
    let (time, parts) = best_of(|| search(&seed, &plan, &pieces, new))?;
    report("deceived at every byte", new.len(), [Duration::MAX, time, Duration::MAX], &parts);
    Ok(())
}

fn search(
    seed: &Seed,
    plan: &Plan,
    pieces: &[Signature],
    new: &[u8],
) -> Result<Found, Box<dyn Error>> {
    let mut parts = Vec::new();
    for part in plan.parts() {
        let index = Index::new(seed, plan.shape(), &pieces[whole(&part.pieces)], Update::Apart)?;
        let mut given = Vec::new();
        let mut sink = |operation: Operation<'_>| -> Result<(), Infallible> {
            given.push(match operation {
                Operation::Copy { offset, length } => Given::Copy { offset, length },
                Operation::Literal(bytes) => Given::Literal(bytes.to_vec()),
            });
            Ok(())
        };
        let mut search = Search::new(&index, &part);
        search.push(&new[whole(&part.read)], &mut sink)?;
        search.finish(&mut sink)?;
        parts.push((part, given));
    }
    Ok(parts)
}

fn patch(parts: &[(Part, Vec<Given>)], basis: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut output = Forgotten(Vec::new());
    for (part, given) in parts {
        let mut patch = Patch::new(part, Update::Apart);
        for operation in given {
            let operation = match operation {
                Given::Copy { offset, length } => {
                    Operation::Copy { offset: *offset, length: *length }
                }
                Given::Literal(bytes) => Operation::Literal(bytes),
            };
            patch.apply(operation, read_at(basis), &mut output)?;
        }
        patch.finish()?;
    }
    Ok(())
}

fn report(name: &str, bytes: usize, times: [Duration; 3], parts: &[(Part, Vec<Given>)]) {
    let literal: usize = parts
        .iter()
        .flat_map(|(_, given)| given)
        .map(|given| match given {
            Given::Copy { .. } => 0,
            Given::Literal(bytes) => bytes.len(),
        })
        .sum();
    let [sign, search, patch] = times.map(|time| match time {
        Duration::MAX => "-".to_owned(),
        time => (bytes as u128 * 1000 / time.as_nanos().max(1)).to_string(),
    });
    println!("{name:28} {sign:>9} {search:>9} {patch:>9} {literal:>10}");
}

fn best_of<T, E>(run: impl Fn() -> Result<T, E>) -> Result<(Duration, T), E> {
    let timed = || {
        let start = Instant::now();
        run().map(|result| (start.elapsed(), result))
    };
    let mut best = timed()?;
    for _ in 1..15 {
        let next = timed()?;
        if next.0 < best.0 {
            best = next;
        }
    }
    Ok(best)
}

fn read_at(bytes: &[u8]) -> impl Fn(u64, &mut [u8]) -> io::Result<()> {
    |offset, buffer| {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = bytes.get(start..).and_then(|bytes| bytes.get(..buffer.len()));
        buffer.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn whole(range: &std::ops::Range<u64>) -> std::ops::Range<usize> {
    let whole = |at: u64| usize::try_from(at).expect("lies in memory");
    whole(range.start)..whole(range.end)
}

/// Bytes that look random and are the same on each run.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(|_| next()).take(length).collect()
}

/// Lines of digits.
fn text(length: usize, seed: u64) -> Vec<u8> {
    let number = |bytes: &[u8]| bytes.iter().map(|byte| b'0' + byte % 10).collect::<Vec<_>>();
    let line = |bytes: &[u8]| [b"measured: ", &number(bytes)[..], b"\n"].concat();
    noise(length, seed).chunks(5).flat_map(line).take(length).collect()
}
