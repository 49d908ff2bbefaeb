//! Lines by chance, killed anywhere: nothing is lost, and the same comes again.

use super::*;

/// A container's life by chance: traces, ordinary lines and odd ones on both streams, in parts, with silences and
/// rotations. With it, after which lines the reader stood at the end of the file for longer than the timeout.
fn chance(random: &mut fastrand::Rng, texts: &[Vec<String>]) -> (Vec<Written>, Vec<usize>) {
    let mut log = Log::default();
    let mut silences = Vec::new();
    let mut sources = [(Stream::Stdout, Vec::new()), (Stream::Stderr, Vec::new())];
    let mut elapsed = 0;
    for _ in 0..random.usize(20..120) {
        let (stream, waiting) = &mut sources[random.usize(0..2)];
        if waiting.is_empty() {
            let text = random.choice(texts).cloned().unwrap_or_default();
            // Most traces come whole; some break off, some begin in their middle.
            let from = if random.u8(0..8) == 0 { random.usize(0..text.len()) } else { 0 };
            waiting.extend(text[from..].iter().take(random.usize(1..40)).rev().cloned());
        }
        let Some(line) = waiting.pop() else { continue };
        let cut = line.len() / 2;
        if random.u8(0..10) == 0 && line.is_char_boundary(cut) {
            log.add(*stream, &line.as_bytes()[..cut], true);
            waiting.push(line[cut..].to_owned());
        } else {
            log.add(*stream, line.as_bytes(), false);
        }
        elapsed += if random.u8(0..25) == 0 { 1500 * MILLISECOND } else { MILLISECOND / 10 };
        log.lines.last_mut().expect("one was added").time = NOON + elapsed;
        match random.u8(0..40) {
            0 => log.rotate(),
            1 => silences.push(log.lines.len()),
            _ => {}
        }
    }
    silences.push(log.lines.len());
    (log.lines, silences)
}

/// Reads on, from a line and with what was durable, and gives out to `events`; `until` kills the reader there.
fn read(
    (log, silences): &(Vec<Written>, Vec<usize>),
    (from, until): (usize, usize),
    cuts: &mut Vec<(Stream, Position)>,
    events: &mut Vec<Found>,
    seen: usize,
) -> Joiner {
    let (mut joiner, now) = (Joiner::new(Arc::clone(&RULES)), Instant::now());
    joiner.replay(cuts.iter().copied());
    let mut sink = |event: &Event<'_>| {
        if event.end == End::Clock {
            cuts.push((event.stream, event.span.end));
        }
        events.push(found(event));
    };
    for (index, line) in log.iter().enumerate().take(until).skip(from) {
        push(&mut joiner, line, now, &mut sink);
        // What the file held already when the reader came back is read without a pause.
        if silences.contains(&(index + 1)) && index + 1 > seen {
            joiner.expire(now + Duration::from_secs(1), &mut sink);
        }
    }
    joiner
}

#[test]
fn by_chance_nothing_is_lost_and_all_comes_again() {
    let seed = std::env::var("SKIDDER_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("SKIDDER_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let mut texts: Vec<Vec<String>> = cases().iter().map(|case| lines(&case.events.join("\n"))).collect();
    texts.extend(files(&data("not-traces")).iter().map(|path| lines(&fs::read_to_string(path).unwrap())));
    for _ in 0..400 {
        let life = chance(&mut random, &texts);
        let (log, mut events) = (&life.0, Vec::new());
        read(&life, (0, log.len()), &mut Vec::new(), &mut events, 0);
        for stream in [Stream::Stdout, Stream::Stderr] {
            let written = log.iter().filter(|line| line.stream == stream);
            let of_stream = || events.iter().filter(|event| event.stream == stream);
            let given: String = of_stream().map(|event| event.message.replace('\n', "")).collect();
            let bytes: u64 = written.clone().map(|line| line.span.end.offset - line.span.start.offset).sum();
            assert_eq!(given.into_bytes(), written.flat_map(|line| line.message.clone()).collect::<Vec<_>>());
            assert_eq!(of_stream().map(|event| event.bytes).sum::<u64>(), bytes);
            assert!(of_stream().zip(of_stream().skip(1)).all(|(one, next)| one.span.end <= next.span.start));
        }
        let whole = by_place(events);
        for _ in 0..4 {
            // What was acknowledged lags behind what was given out; the cuts of both are durable.
            let (killed, mut cuts, mut events) = (random.usize(0..=log.len()), Vec::new(), Vec::new());
            let acknowledged = random.usize(0..=killed);
            let joiner = read(&life, (0, acknowledged), &mut Vec::new(), &mut Vec::new(), 0);
            let again = joiner.held().or_else(|| log.get(acknowledged).map(|line| line.span.start));
            let again = log.iter().position(|line| Some(line.span.start) == again).unwrap_or(log.len());
            read(&life, (0, killed), &mut cuts, &mut events, 0);
            read(&life, (again, log.len()), &mut cuts, &mut events, killed);
            assert_eq!(by_place(events), whole, "killed after {killed} lines, again from {again}: {log:#?}");
        }
    }
}
