//! Another host far away: two network namespaces with a link between them that has a delay, a rate
//! and losses, and an sshd at its far end.
//!
//! Packets are carried in user space, between two TUN devices, since few kernels have the queueing
//! discipline that would do it. Both hosts see the same files. All of it goes with this process.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result};

mod carrier;

mod kernel;

mod line;

mod login;

mod segments;

pub(crate) use kernel::Entered;
pub(crate) use line::Link;

use carrier::Carriers;
use kernel::{DEVICE, Namespace};
use login::Login;

use super::volume::must;

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// More than this of the packets handed on late, and the machine was measured, not the link.
const LATE_PERCENT: u64 = 5;

/// Two hosts and the way between them.
#[derive(Debug)]
pub(crate) struct Wan {
    // Before the link: who speaks over it ends while it is there.
    login: Login,
    near: Namespace,
    carriers: Option<Carriers>,
}

impl Wan {
    /// Hosts with this link between them; with none, both are one host.
    pub(crate) fn new(work: &Path, link: Option<Link>) -> Result<Self> {
        let Some(link) = link else {
            let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let (near, _) = host(None)?;
            let login = Login::start(work, address, &near)?;
            return Self { login, near, carriers: None }.proven(address);
        };
        let (near, far, carriers) = joined(link)?;
        let login = Login::start(work, FAR.into(), &far)?;
        Self { login, near, carriers: Some(carriers) }.proven(FAR.into())
    }

    fn proven(mut self, address: IpAddr) -> Result<Self> {
        let entered = self.enter()?;
        self.login.prove(address)?;
        drop(entered);
        Ok(self)
    }

    /// Moves this thread to the near host, with all that it starts.
    pub(crate) fn enter(&self) -> Result<Entered> {
        self.near.enter()
    }

    /// What `-e` is given, and the name of the other host.
    pub(crate) fn shell_and_host(&self) -> Result<(String, &'static str)> {
        Ok((self.login.shell()?, login::HOST))
    }

    /// Bytes of packets until now, both ways; `None` where there is no link.
    pub(crate) fn carried_bytes(&self) -> Option<u64> {
        Some(self.carriers.as_ref()?.counters.bytes.load(Ordering::Relaxed))
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        let late = self.carriers.as_ref().map_or(0, |carriers| carriers.counters.late_percent());
        if late > LATE_PERCENT {
            eprintln!("bench: {late} % of the packets were late: this measured the machine");
        }
    }
}

/// TCP's congestion control that Linux has by itself.
const USUAL_CONTROL: &str = "cubic";

/// Hosts may only have a congestion control that is on a list of the whole machine; while this is there,
/// the usual one is.
#[derive(Debug)]
struct Allowed {
    /// The list as it was, if that was another.
    before: Option<String>,
}

impl Allowed {
    const LIST: &str = "tcp_allowed_congestion_control";

    fn for_now() -> Result<Self> {
        let path = format!("/proc/sys/net/ipv4/{}", Self::LIST);
        let list =
            std::fs::read_to_string(path).context("read which congestion controls there are")?;
        if list.split_whitespace().any(|name| name == USUAL_CONTROL) {
            return Ok(Self { before: None });
        }
        set(Self::LIST, &format!("{} {USUAL_CONTROL}", list.trim()))?;
        Ok(Self { before: Some(list.trim().to_owned()) })
    }
}

impl Drop for Allowed {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _best_effort = set(Self::LIST, before);
        }
    }
}

/// Two hosts, and what carries packets from one to the other.
fn joined(link: Link) -> Result<(Namespace, Namespace, Carriers)> {
    let (near, near_device) = host(Some(NEAR))?;
    let (far, far_device) = host(Some(FAR))?;
    let devices = near_device.zip(far_device).context("each end has a device")?;
    Ok((near, far, Carriers::start(link, devices.into())?))
}

/// A host, and its device if it gets an address.
fn host(address: Option<Ipv4Addr>) -> Result<(Namespace, Option<File>)> {
    let host = Namespace::new()?;
    let _allowed = Allowed::for_now()?;
    let _entered = host.enter()?;
    ip(&["link", "set", "lo", "up"])?;
    // Nothing is remembered from one connection to the next.
    set("tcp_no_metrics_save", "1")?;
    set("tcp_congestion_control", USUAL_CONTROL)?;
    let device = address.map(|address| {
        let device = kernel::open_tun()?;
        ip(&["address", "add", &format!("{address}/24"), "dev", DEVICE])?;
        ip(&["link", "set", DEVICE, "mtu", "1500", "txqueuelen", "20000", "up"])?;
        anyhow::Ok(device)
    });
    Ok((host, device.transpose()?))
}

fn ip(words: &[&str]) -> Result<()> {
    must(Command::new("ip").args(words)).context("package iproute2")
}

fn set(name: &str, value: &str) -> Result<()> {
    std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value)
        .with_context(|| format!("set {name} to {value}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_is_sent_arrives_whole_on_a_line_that_loses_some_and_not_before_its_time() {
        const BYTES: usize = 3 << 20;
        let link = Link { round_trip_ms: 6, loss_per_100k: 1000, rate_mbit: 1000 };
        let (near, far, carriers) = joined(link).unwrap();
        let listener = {
            let _entered = far.enter().unwrap();
            TcpListener::bind((FAR, 7)).unwrap()
        };
        let sent: Vec<u8> = (0..=250).cycle().take(BYTES).collect();
        let (received, waited) = std::thread::scope(|scope| {
            let far = scope.spawn(|| {
                let mut received = Vec::new();
                listener.accept().unwrap().0.read_to_end(&mut received).unwrap();
                received
            });
            let _entered = near.enter().unwrap();
            let start = Instant::now();
            let mut stream = TcpStream::connect((FAR, 7)).unwrap();
            let waited = start.elapsed();
            stream.write_all(&sent).unwrap();
            drop(stream);
            (far.join().unwrap(), waited)
        });
        assert!(received == sent, "{} bytes arrived", received.len());
        assert!(waited >= Duration::from_millis(6), "{waited:?}");
        let carried = carriers.counters.bytes.load(Ordering::Relaxed);
        assert!(carried > BYTES as u64, "{carried}");
    }
}
