//! Files that are written: whole, through links, with their modes, over nothing of another kind; and their locks.

use std::fs::{self, File};
use std::io::{Error as IoError, Read};
use std::time::{Duration, SystemTime};

use siamese::Error;
use siamese::output::{Kind, Lock, Output, write};
use siamese::text::plain;

const WORDS: Kind = Kind { name: "a file of words", is: |head| head.starts_with(b"words") };

#[test]
fn a_file_of_another_kind_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    write(&file, WORDS, b"words 1").unwrap();
    write(&file, WORDS, b"words 2").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"words 2");

    fs::write(&file, "somebody's numbers").unwrap();
    let error = Output::prepare(&file, WORDS).unwrap_err();
    assert!(matches!(error, Error::Output { .. }) && error.to_string().contains("no") && error.hint().is_some());
    assert!(write(&file, WORDS, b"words").is_err());
    assert_eq!(fs::read(&file).unwrap(), b"somebody's numbers");
    fs::write(&file, "").unwrap();
    write(&file, WORDS, b"words").unwrap();

    assert!(Output::prepare(folder.path(), WORDS).unwrap_err().to_string().contains("folder"));
    let error = Output::prepare(&folder.path().join("none/a"), WORDS).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a check leaves nothing");
}

#[test]
fn a_failure_leaves_the_older_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a");
    write(&file, WORDS, b"words").unwrap();
    let error = Output::prepare(&file, WORDS).unwrap().fill(|_| Err(IoError::other("full"))).unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    let draft = Output::prepare(&file, WORDS).unwrap().draft(|_| Ok(())).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"words", "a draft has no name");
    drop(draft);
    assert_eq!(fs::read(&file).unwrap(), b"words");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Killed programs leave temporary files: the next writer of the same file removes them, unless somebody holds them.
#[test]
fn temporary_files_that_are_left_over_go() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("a"), folder.path().join("b"));
    let names = || -> Vec<String> {
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".tmp")).collect()
    };
    let draft = Output::prepare(&file, WORDS).unwrap().draft(|_| Ok(())).unwrap();
    let [held] = names().try_into().unwrap();
    let left = folder.path().join(format!("{}left.tmp", &held[..held.rfind('-').unwrap() + 1]));
    fs::write(&left, "half a fi").unwrap();
    write(&file, WORDS, b"words").unwrap();
    assert!(left.exists(), "it is young: its writer may not hold it yet");
    for name in [&left, &folder.path().join(&held)] {
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        File::options().append(true).open(name).unwrap().set_modified(hour_ago).unwrap();
    }
    write(&other, WORDS, b"words").unwrap();
    assert!(left.exists(), "it is not of that file");
    write(&file, WORDS, b"words").unwrap();
    assert_eq!(names(), [held], "the one that is held stays");
    draft.publish().unwrap();
    assert!(names().is_empty());
}

#[cfg(unix)]
#[test]
fn links_and_pipes_are_written_through() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let [real, link, far, new] = ["real", "link", "far", "new"].map(|name| folder.path().join(name));
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(&real, "words").unwrap();
    symlink("real", &link).unwrap();
    symlink("link", &far).unwrap();
    symlink("sub/made", &new).unwrap();
    write(&far, WORDS, b"words through two").unwrap();
    write(&new, WORDS, b"words").unwrap();
    assert_eq!(fs::read(&real).unwrap(), b"words through two");
    assert_eq!(fs::read(folder.path().join("sub/made")).unwrap(), b"words", "a link that led to nothing yet");
    assert!([&link, &far, &new].iter().all(|path| path.is_symlink()));
    let lock = Lock::take(&far).unwrap();
    assert!(matches!(Lock::take(&real), Err(Error::Busy { .. })), "a link and its file have one lock");
    drop(lock);
    let [circle, back] = ["circle", "back"].map(|name| folder.path().join(name));
    symlink(&back, &circle).unwrap();
    symlink(&circle, &back).unwrap();
    assert!(Output::prepare(&circle, WORDS).unwrap_err().to_string().contains("circle"));

    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = {
        let pipe = pipe.clone();
        std::thread::spawn(move || {
            let mut text = String::new();
            File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
            text
        })
    };
    write(&pipe, WORDS, b"words in a pipe").unwrap();
    assert_eq!(reader.join().unwrap(), "words in a pipe");
    assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(Lock::take(&pipe).is_err());
}

#[cfg(unix)]
#[test]
fn modes_stay_and_new_files_have_what_the_umask_leaves() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let [file, usual] = ["a", "usual"].map(|name| folder.path().join(name));
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    File::create(&usual).unwrap();
    write(&file, WORDS, b"words").unwrap();
    assert_eq!(mode(&file), mode(&usual));
    for wanted in [0o600, 0o664, 0o640] {
        fs::set_permissions(&file, fs::Permissions::from_mode(wanted)).unwrap();
        write(&file, WORDS, b"words").unwrap();
        assert_eq!(mode(&file), wanted);
    }
}

#[test]
fn one_writer_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.gallery");
    let lock = Lock::take(&file).unwrap();
    let error = Lock::take(&file).unwrap_err();
    assert!(matches!(error, Error::Busy { .. }) && error.to_string().contains("people.gallery"), "{error}");
    drop(lock);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the lock goes");
    #[cfg(unix)]
    {
        let _lock = Lock::take(&file).unwrap();
        let left = fs::metadata(folder.path().join("people.gallery.lock")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&left.permissions());
        assert_eq!(mode & 0o777, 0o666, "one that is left over keeps nobody out");
    }
    fs::write(folder.path().join("people.gallery.lock"), "").unwrap();
    Lock::take(&file).unwrap();

    // Many who take it and give it back, each removing the file: never two at once.
    let inside = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    if let Ok(_lock) = Lock::take(&file) {
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                }
            });
        }
    });
}

#[test]
fn words_from_outside_stay_on_their_line() {
    assert_eq!(plain("anna, José \"x\" 名"), "anna, José \"x\" 名");
    assert_eq!(plain("a\tb\nc\r\u{1b}[31m\u{9b}\u{202e}"), "a\\tb\\nc\\r\\u{1b}[31m\\u{9b}\\u{202e}");
}
