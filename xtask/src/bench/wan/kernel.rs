//! What std has no call for: a network namespace of one's own, and a TUN device in it.
#![expect(unsafe_code, reason = "nobody offers a device, or a namespace, by a call that is safe")]

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, Result};
use rustix::fs::OFlags;
use rustix::ioctl::{IntegerSetter, Opcode, Updater, ioctl};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// The device of either end.
pub(super) const DEVICE: &str = "wan0";

/// A network namespace, which goes when nothing is in it and this is dropped.
#[derive(Debug)]
pub(crate) struct Namespace(File);

/// A thread is in a namespace until this is dropped, and so is what it starts.
#[derive(Debug)]
pub(crate) struct Entered {
    back: File,
}

impl Namespace {
    /// A namespace with nothing in it but a loopback device that is down.
    pub(super) fn new() -> Result<Self> {
        let make = || -> Result<Self> {
            // SAFETY: descriptors stay shared, since only the network is parted.
            let parted = unsafe { unshare_unsafe(UnshareFlags::NEWNET) };
            parted.context("make a network namespace")?;
            own_namespace().map(Self)
        };
        // The thread has moved there for good, so it is one that ends.
        std::thread::scope(|scope| scope.spawn(make).join().expect("it does not panic"))
    }

    /// Moves this thread there.
    pub(crate) fn enter(&self) -> Result<Entered> {
        let back = own_namespace()?;
        enter(&self.0).context("enter a network namespace")?;
        Ok(Entered { back })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        enter(&self.back).expect("a thread may go back to where it came from");
    }
}

fn own_namespace() -> Result<File> {
    File::open("/proc/thread-self/ns/net").context("open the network namespace")
}

fn enter(namespace: &File) -> rustix::io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
}

/// `struct ifreq` of Linux, as far as TUN looks at it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// Makes the device in the namespace that this thread is in. What is read from it begins with a header
/// of virtio-net; TCP comes in packets that are longer than the device carries, as to a network card.
pub(super) fn open_tun() -> Result<File> {
    const TUNSETIFF: Opcode = 0x4004_54ca;
    const TUNSETOFFLOAD: Opcode = 0x4004_54d0;
    const IFF_TUN: u16 = 0x0001;
    const IFF_NO_PI: u16 = 0x1000;
    const IFF_VNET_HDR: u16 = 0x4000;
    const TUN_F_CSUM: usize = 0x01;
    const TUN_F_TSO4: usize = 0x02;
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).context("flags are small")?;
    let mut options = File::options();
    let tun = options.read(true).write(true).custom_flags(flags).open("/dev/net/tun");
    let tun = tun.context("open /dev/net/tun")?;
    let mut request = InterfaceRequest {
        name: [0; 16],
        flags: IFF_TUN | IFF_NO_PI | IFF_VNET_HDR,
        rest: [0; 22],
    };
    request.name[..DEVICE.len()].copy_from_slice(DEVICE.as_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, as long as on any 64-bit Linux.
    let made = unsafe { ioctl(&tun, Updater::<TUNSETIFF, InterfaceRequest>::new(&mut request)) };
    made.context("make the device")?;
    let offloads = TUN_F_CSUM | TUN_F_TSO4;
    // SAFETY: TUNSETOFFLOAD takes a number and no pointer.
    let set = unsafe { ioctl(&tun, IntegerSetter::<TUNSETOFFLOAD>::new_usize(offloads)) };
    set.context("set what the device leaves undone")?;
    Ok(tun)
}
