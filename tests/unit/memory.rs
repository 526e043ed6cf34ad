//! What is asked of the machine's memory.

use siamese::memory;

#[test]
fn what_cannot_be_had_is_refused() {
    memory::check("a page", 4096).unwrap();
    let error = memory::check("the world", 1 << 60).unwrap_err();
    let words = error.to_string();
    assert!(words.contains("the world") && words.contains("1152921504.6 GB"), "{words}");
    assert!(error.hint().unwrap().contains("--batch"));
}
