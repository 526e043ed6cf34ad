//! What nobody should send, and ends that nobody asked for. As a test some thousands of bodies and a few kills;
//! `SERVE_BODIES` and `SERVE_KILLS` say how many, `SERVE_SEED` which.

use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use image::{DynamicImage, ImageFormat};

use crate::client::{BOUNDARY, Reply, Service, TOKEN, form, picture};
use crate::mutate::{self, Dice};
use crate::{enrolled, place};

/// Threads that send.
const SENDING: u64 = 8;

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: `{text}`")))
}

/// A small picture in each format.
fn seeds() -> Vec<Vec<u8>> {
    let own = DynamicImage::from(image::load_from_memory(&picture(2, 3)).unwrap().to_rgba8());
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Pnm,
    ];
    let encoded = formats.map(|format| {
        let mut bytes = Cursor::new(Vec::new());
        // Not every format has every colour.
        let written = own.write_to(&mut bytes, format);
        written.or_else(|_| own.to_rgb8().write_to(&mut bytes, format)).unwrap();
        bytes.into_inner()
    });
    encoded.into()
}

/// A broken picture.
fn broken(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let place = dice.below(seeds.len());
    let mut file = seeds[place].clone();
    let change = if place == 0 { mutate::png } else { mutate::bytes };
    change(dice, &mut file, seeds);
    file
}

/// The bytes of a request that nobody should send.
fn request(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let route = *dice.pick(&[
        "POST /v1/recognize",
        "POST /v1/embed",
        "POST /v1/compare",
        "POST /v1/recognize?nearest=7",
        "PUT /v1/identities/storm",
        "PUT /v1/identities/%e2%82",
        "DELETE /v1/identities/nobody",
        "PATCH /v1/identities",
        "POST /",
    ]);
    let kind: &str = if dice.one_in(2) { "image/png" } else { &format!("multipart/form-data; boundary={BOUNDARY}") };
    let body = if kind == "image/png" {
        broken(dice, seeds)
    } else {
        let count = 1 + dice.below(4);
        let pictures: Vec<_> = (0..count)
            .map(|_| ("a.png", if dice.one_in(3) { seeds[0].clone() } else { broken(dice, seeds) }))
            .collect();
        let mut body = form(&pictures);
        if dice.one_in(3) {
            mutate::bytes(dice, &mut body, seeds);
        }
        body
    };
    let length = match dice.below(16) {
        0 => body.len() + 1 + dice.below(100),
        1 => body.len() / 2,
        2 => usize::MAX,
        _ => body.len(),
    };
    let mut head = format!("{route} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: {kind}\r\n");
    head += &format!("Authorization: Bearer {TOKEN}\r\n");
    match dice.below(24) {
        0 => head += &format!("X-Long: {}\r\n", "a".repeat(1 + dice.below(200_000))),
        1 => (0..dice.below(2000)).for_each(|number| head += &format!("X-{number}: 1\r\n")),
        2 => head += "Content-Length: 3\r\n",
        3 => head += "Transfer-Encoding: chunked\r\n",
        4 => head += &format!("Content-Type: multipart/form-data; boundary={}\r\n", "-".repeat(dice.below(300))),
        _ => {}
    }
    head += &format!("Content-Length: {length}\r\n\r\n");
    let mut bytes = [head.as_bytes(), &body].concat();
    if dice.one_in(12) {
        mutate::bytes(dice, &mut bytes, seeds);
    }
    bytes
}

#[test]
fn nothing_that_is_sent_breaks_it() {
    let (cases, seed) = (number("SERVE_BODIES", 3000), number("SERVE_SEED", 0));
    let (_folder, gallery) = place();
    let service = enrolled(&gallery, &["--timeout", "6"]);
    let (seeds, next, most) = (seeds(), AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..SENDING {
            scope.spawn(|| {
                loop {
                    let case = next.fetch_add(1, Ordering::Relaxed);
                    if case >= cases {
                        return;
                    }
                    let mut dice = Dice::new(seed, "storm", case);
                    let bytes = request(&mut dice, &seeds);
                    let reply = service.connect().and_then(|mut stream| {
                        // Some have said it all, some say no more and stay, some go away.
                        drop(stream.write_all(&bytes));
                        match dice.below(50) {
                            0 => return Ok(None),
                            1 => {}
                            _ => drop(stream.shutdown(std::net::Shutdown::Write)),
                        }
                        Reply::read(&mut stream).map(Some)
                    });
                    let reply = reply.unwrap_or_else(|error| panic!("case {case}: {error}"));
                    let status = reply.as_ref().map_or(0, |reply| reply.status);
                    assert!(status < 500 || status == 503, "case {case}: {reply:?}");
                    if case % 100 == 0 {
                        most.fetch_max(service.memory(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    // Two threads decode pictures of at most 50 million pixels.
    let most = most.into_inner() >> 20;
    assert!(most < 1536, "{most} MiB");
    assert_eq!(service.send("POST", "/v1/recognize", &picture(0, 5)).status, 200);
    eprintln!("{cases} bodies; {most} MiB at most, {} MiB at the end", service.memory() >> 20);
    service.end();
}

#[test]
fn what_was_answered_outlives_a_kill() {
    let kills = number("SERVE_KILLS", 3);
    let (_folder, gallery) = place();
    let mut answered: Vec<(u64, u32)> = Vec::new();
    let next: Vec<AtomicU64> = (0..SENDING).map(|_| AtomicU64::new(0)).collect();
    let of = |sender: u64, number: u32| picture(sender as u32 % 4, sender as u32 * 1_000_003 + number);
    for kill in 0..kills {
        let service = Service::start(&gallery, &[]);
        let address = service.address;
        let senders: Vec<_> = (0..SENDING)
            .map(|sender| {
                let first = next[sender as usize].load(Ordering::Relaxed) as u32;
                let path = format!("/v1/identities/{sender}");
                thread::spawn(move || {
                    let mut done = Vec::new();
                    for number in first.. {
                        let picture = picture(sender as u32 % 4, sender as u32 * 1_000_003 + number);
                        let head = format!(
                            "PUT {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: image/png\r\n\
                             Authorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n",
                            picture.len()
                        );
                        let reply = std::net::TcpStream::connect(address).and_then(|mut stream| {
                            stream.write_all(&[head.as_bytes(), &picture].concat())?;
                            Reply::read(&mut stream)
                        });
                        match reply.map(|reply| reply.status) {
                            Ok(200 | 201) => done.push(number),
                            // It was killed.
                            Ok(0) | Err(_) => return (number + 1, done),
                            Ok(status) => panic!("{status}"),
                        }
                    }
                    unreachable!("there are enough numbers")
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(300 + 37 * kill));
        service.kill();
        for (sender, sending) in senders.into_iter().enumerate() {
            let (number, done) = sending.join().unwrap();
            next[sender].store(number.into(), Ordering::Relaxed);
            answered.extend(done.into_iter().map(|number| (sender as u64, number)));
        }
    }
    let service = Service::start(&gallery, &[]);
    let images = service.images();
    for (sender, sent) in next.iter().enumerate() {
        let own = answered.iter().filter(|(by, _)| *by == sender as u64).count() as u64;
        let found = images.iter().find(|(name, _)| *name == sender.to_string()).map_or(0, |(_, images)| *images);
        let sent = sent.load(Ordering::Relaxed);
        assert!((own..=sent).contains(&found), "of {sender}: {own} answered, {sent} sent, {found} there");
    }
    for &(sender, number) in &answered {
        let reply = service.send("PUT", &format!("/v1/identities/{sender}"), &of(sender, number)).json();
        assert_eq!((&reply["enrolled"], &reply["known"]), (&0.into(), &1.into()), "{sender} {number}: {reply}");
    }
    assert_eq!(service.images(), images, "what is sent again counts once");
    eprintln!("{kills} kills, {} enrolments answered, each there once", answered.len());
    assert!(answered.len() as u64 > kills, "hardly anything was enrolled");
    service.end();
}
