//! Event files, read record by record.

use std::fs;

use prost::Message;
use siamese::tensorboard::{Event, TensorBoard, masked_crc};

#[test]
fn records_are_whole_and_checked() {
    // From the format's own tests: the checksum of 32 zeros is 0x8a9136aa before it is masked.
    assert_eq!(masked_crc(&[0; 32]), 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    let folder = tempfile::tempdir().unwrap();
    let mut board = TensorBoard::create(folder.path()).unwrap();
    board.scalars(1, [("train/loss", 0.5), ("train/active", 0.25)]).unwrap();
    board.scalars(7, [("test/knn5", 0.99)]).unwrap();
    board.flush().unwrap();
    let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    assert!(path.file_name().unwrap().to_str().unwrap().starts_with("events.out.tfevents."));
    let bytes = fs::read(path).unwrap();
    let (mut rest, mut events) = (bytes.as_slice(), Vec::new());
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        assert_eq!(word(&rest[8..12]), masked_crc(&rest[..8]));
        let data = &rest[12..12 + length];
        assert_eq!(word(&rest[12 + length..16 + length]), masked_crc(data));
        events.push(Event::decode(data).unwrap());
        rest = &rest[16 + length..];
    }
    assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
    let values = |event: &Event| -> Vec<(String, f32)> {
        event.summary.iter().flat_map(|summary| &summary.value).map(|v| (v.tag.clone(), v.simple_value)).collect()
    };
    assert_eq!((events.len(), events[1].step, events[2].step), (3, 1, 7));
    assert_eq!(values(&events[1]), [("train/loss".to_owned(), 0.5), ("train/active".to_owned(), 0.25)]);
    assert_eq!(values(&events[2]), [("test/knn5".to_owned(), 0.99)]);
}
