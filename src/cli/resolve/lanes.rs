//! Lanes beside the remote shell's: how many, of what kind, and who opens them.

use net::further::{FURTHER_MAX, Opener, Plan, Wish};
use net::shell::Family;
use wire::{LaneCount, PortRange};

use crate::cli::options::Opt;
use crate::cli::raw::RawFlag;
use crate::cli::refusal::Refusal;

/// What was typed about them so far.
#[derive(Debug, Default)]
pub(super) struct Typed {
    plan: Plan,
    opener: Option<RawFlag>,
}

impl Typed {
    pub(super) fn take(&mut self, flag: &RawFlag) -> Result<(), Refusal> {
        let text = flag.text()?;
        match flag.opt {
            Opt::Lanes => {
                self.plan.count = count(text).ok_or_else(|| {
                    flag.refuse(&format!("is not auto nor a number from 1 to {FURTHER_MAX}"))
                })?;
            }
            Opt::LaneKind => {
                self.plan.wish = match text {
                    "auto" => Wish::Auto,
                    "ssh" => Wish::None,
                    "tcp" => Wish::Tcp,
                    "quic" => Wish::Quic,
                    _ => return Err(flag.refuse("is not one of auto, ssh, tcp and quic")),
                }
            }
            Opt::LanePorts => {
                self.plan.ports = ports(text)
                    .ok_or_else(|| flag.refuse("is not a range of ports such as 50000-50100"))?;
            }
            Opt::LanesFrom => {
                self.plan.opener = match text {
                    "auto" => Opener::Auto,
                    "here" => Opener::Here,
                    "there" => Opener::There,
                    _ => return Err(flag.refuse("is not one of here, there and auto")),
                };
                self.opener = Some(flag.clone());
            }
            _ => return Ok(()),
        }
        self.plan.is_asked = true;
        Ok(())
    }

    pub(super) fn settle(self, family: Option<Family>) -> Result<Plan, Refusal> {
        let Self { plan, opener } = self;
        let plan = Plan { family, ..plan };
        match (plan.wish, plan.count) {
            (Wish::None, LaneCount::Fixed(lanes)) if lanes > 1 => {
                if let Some(flag) = opener.filter(|_| plan.opener == Opener::There) {
                    return Err(flag.refuse("cannot be with --lane-kind=ssh: who logs in is here"));
                }
                // The first one is over ssh as well.
                Ok(Plan { wish: Wish::Ssh, count: LaneCount::Fixed(lanes - 1), ..plan })
            }
            _ => Ok(plan),
        }
    }
}

fn count(text: &str) -> Option<LaneCount> {
    if text == "auto" {
        return Some(LaneCount::Auto);
    }
    let number = text.parse().ok().filter(|number| (1..=FURTHER_MAX).contains(number));
    number.map(LaneCount::Fixed)
}

/// `50000-50100`, or one port.
fn ports(text: &str) -> Option<PortRange> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = port(first).zip(port(last))?;
    (first <= last).then_some(PortRange::Within { first, last })
}
