//! A target on another host whose bytes are mounted there by another device than the one that was named.

use std::fs;
use std::process::{Command, Output};

use super::loop_device::LoopDevice;
use super::{Hosts, LANESYNC, RUNS_IT_HERE, check, noise};

/// Its first word may be a command.
fn run(hosts: &Hosts, words: &[&str]) -> Output {
    let agent = format!("--agent-path={LANESYNC}");
    let reached = ["-e", RUNS_IT_HERE, &agent];
    Command::new(LANESYNC)
        .args(&words[..1])
        .args(reached)
        .args(&words[1..])
        .current_dir(hosts.path())
        .env("HOME", hosts.path())
        .env_remove("SSH_CONNECTION")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_CACHE_HOME")
        .output()
        .unwrap()
}

const MIB: usize = 1 << 20;

fn succeed(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program} {words:?}: {output:?}");
}

#[test]
fn what_is_mounted_there_by_another_device_is_refused_and_a_source_is_warned_of() {
    let hosts = Hosts::new();
    let at = |name: &str| hosts.path().join(name);
    fs::write(at("src"), noise(4 * MIB, 1)).unwrap();
    fs::write(at("image"), vec![0; 4 * MIB]).unwrap();
    fs::create_dir(at("mount")).unwrap();
    let (image, point) = (at("image"), at("mount"));
    let (image, point) = (image.to_str().unwrap(), point.to_str().unwrap());
    let [one, other] = [(); 2].map(|()| LoopDevice::over(image, &[]));
    succeed("mkfs.ext4", &["-q", &one.path]);
    one.flush();
    let run = |words: &[&str]| run(&hosts, words);
    succeed("mount", &[&one.path, point]);
    let before = fs::read(image).unwrap();
    let target = format!("h:{}", other.path);
    let refused = ["src", "i:src"].map(|source| run(&["blocks", source, &target]));
    let by_sync = run(&["-I", "--write-devices", "src", &target]);
    other.flush();
    let is_same = fs::read(image).unwrap() == before;
    let warned = run(&["blocks", "--truncate", "h:image", "copy"]);
    succeed("umount", &[point]);
    assert!(is_same, "it was written to");
    for output in &refused {
        check(output, 3, "is mounted at");
    }
    check(&by_sync, 23, "is mounted at");
    check(&warned, 0, "");
    let told = String::from_utf8_lossy(&warned.stderr).into_owned();
    assert!(told.contains("the source") && told.contains("snapshot"), "{told}");
    succeed("e2fsck", &["-fn", &one.path]);
    drop(one);
    check(&run(&["blocks", "src", &target]), 0, "");
    other.flush();
    assert!(fs::read(image).unwrap() == noise(4 * MIB, 1));
}
