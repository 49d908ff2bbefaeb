//! Plain files whose rotation is looked at between any two of its steps, at random.

use std::collections::VecDeque;
use std::io::Write as _;

use super::*;

/// What a rotator does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Shift,
    Rename,
    Create,
    BeginCopy,
    Copy,
    Truncate,
    Pack,
}

const RENAMING: [Step; 3] = [Step::Shift, Step::Rename, Step::Create];
const COPYING: [Step; 4] = [Step::Shift, Step::BeginCopy, Step::Copy, Step::Truncate];

/// One log, its writer and its rotator.
struct World {
    log: Log,
    live: File,
    written: Vec<String>,
    read: Vec<String>,
    steps: VecDeque<Step>,
    done: Vec<String>,
}

impl World {
    fn new() -> Self {
        let log = Log::new(Naming::Mark);
        let live = open(&log);
        Self { log, live, written: Vec::new(), read: Vec::new(), steps: VecDeque::new(), done: Vec::new() }
    }

    fn write(&mut self) {
        let line = format!("line {}", self.written.len());
        self.live.write_all(format!("{line}\n").as_bytes()).unwrap();
        self.done.push(line.clone());
        self.written.push(line);
    }

    fn step(&mut self) {
        let Some(step) = self.steps.pop_front() else { return };
        self.done.push(format!("{step:?}"));
        let (live, first) = (self.log.path("0.log"), self.log.path("0.log.1"));
        match step {
            Step::Shift => {
                let packed = |number| self.log.path(&format!("0.log.{number}.gz")).exists();
                let end = |number| if packed(number) { ".gz" } else { "" };
                let there =
                    |number: &u32| packed(*number) || self.log.path(&format!("0.log.{number}")).exists();
                let last = (1..).take_while(there).last().unwrap_or(0);
                for number in (1..=last).rev() {
                    let end = end(number);
                    self.log.rename(&format!("0.log.{number}{end}"), &format!("0.log.{}{end}", number + 1));
                }
            }
            Step::Rename => fs::rename(live, first).unwrap(),
            Step::Create => self.live = open(&self.log),
            Step::BeginCopy => drop(File::create(first).unwrap()),
            Step::Copy => fs::write(first, fs::read(live).unwrap()).unwrap(),
            Step::Truncate => self.live.set_len(0).unwrap(),
            Step::Pack => self.log.pack("0.log.2"),
        }
    }

    fn begin_rotation(&mut self, random: &mut fastrand::Rng) {
        if self.steps.is_empty() {
            match random.u32(0..3) {
                0 => self.steps.extend(COPYING),
                _ => self.steps.extend(RENAMING),
            }
            if self.log.path("0.log.1").exists() && !self.log.path("0.log.1.gz").exists() && random.bool() {
                self.steps.push_back(Step::Pack);
            }
        }
    }

    /// Whether the next bytes would be truncated without a copy.
    fn is_copied(&self) -> bool {
        matches!(self.steps.front(), Some(Step::Truncate))
    }

    fn turn(&mut self) -> bool {
        let mut buffer = vec![0; 4096];
        match self.log.chain.turn(&mut buffer, self.log.now).unwrap() {
            Turn::Lines(lines) => {
                let lines = lines.into_iter().map(|line| String::from_utf8_lossy(line.bytes).into_owned());
                self.read.extend(lines);
                true
            }
            Turn::Long(..) => panic!("no long lines here"),
            Turn::Progress => true,
            Turn::Survey => {
                self.survey();
                true
            }
            Turn::End => false,
        }
    }

    fn survey(&mut self) {
        for _ in 0..10 {
            let files = listed(self.log.folder.path());
            if self.log.chain.survey(&files, self.log.now).is_ok() {
                break;
            }
        }
        self.log.chain.take_records();
    }

    fn act(&mut self, random: &mut fastrand::Rng) {
        match random.u32(0..20) {
            0..5 if !self.is_copied() => self.write(),
            0..5 => {}
            5 | 6 => self.begin_rotation(random),
            7..12 => self.step(),
            12..15 => {
                self.done.push("survey".to_owned());
                self.survey();
            }
            15..19 => {
                self.done.push("turn".to_owned());
                self.turn();
            }
            _ => {
                self.done.push("later".to_owned());
                self.log.later(2);
            }
        }
    }

    fn rest(&mut self) {
        while !self.steps.is_empty() {
            self.step();
        }
        for _ in 0..4 {
            self.survey();
            while self.turn() {}
            self.log.later(2);
        }
    }
}

fn open(log: &Log) -> File {
    OpenOptions::new().create(true).append(true).open(log.path("0.log")).unwrap()
}

#[test]
fn each_line_once_whenever_a_rotation_is_looked_at() {
    let given = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("SKIDDER_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..300 {
        let mut world = World::new();
        for _ in 0..random.usize(1..60) {
            world.act(&mut random);
        }
        world.done.push("rest".to_owned());
        world.rest();
        world.read.sort();
        world.written.sort();
        assert_eq!(world.read, world.written, "SKIDDER_SEED={seed}: {:?}", world.done);
    }
}
