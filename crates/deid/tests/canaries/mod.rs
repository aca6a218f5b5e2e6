//! Made-up DICOM files with a canary wherever an identifier can hide (T-14). Shared by the tests and by `examples/canaries.rs`.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::value::{DataSetSequence, PixelFragmentSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

const TABLE: &str = include_str!("../../src/dicom/table_e1_1.tsv");

/// A file, and what must not be in it any more.
pub struct Made {
    /// The file.
    pub bytes: Vec<u8>,
    /// Every text planted.
    pub canaries: Vec<String>,
}

impl Made {
    /// Canaries that stand in `bytes`, in Latin-1, UTF-8 or UTF-16.
    pub fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let forms = |text: &str| [text.as_bytes().to_vec(), wide(text, u16::to_le_bytes), wide(text, u16::to_be_bytes)];
        // Canaries of a kind begin alike, so one pass finds the few kinds to look at closely.
        let heads: Vec<&str> = ["CNRY", "1.9.77", "18770"]
            .into_iter()
            .filter(|head| forms(head).iter().any(|form| contains(bytes, form)))
            .collect();
        let holds = |text: &&String| {
            heads.iter().any(|head| text.starts_with(head)) && forms(text).iter().any(|form| contains(bytes, form))
        };
        self.canaries.iter().filter(holds).cloned().collect()
    }

    /// Days that were planted, as DA has them.
    #[allow(dead_code)] // The unit tests leave days to the example.
    pub fn days(&self) -> impl Iterator<Item = &String> {
        self.canaries.iter().filter(|canary| is_day(canary))
    }
}

#[allow(dead_code)]
fn is_day(canary: &str) -> bool {
    canary.len() == 8 && canary.starts_with("1877")
}

/// Whether the part stands in the bytes. Digits of a new UID (`2.25.` and up to 39 random digits) hold any day now and then; they are no day.
fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let figure = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    let in_new_uid = |at: usize| {
        let start = bytes[..at].iter().rposition(|byte| !figure(byte)).map_or(0, |before| before + 1);
        bytes[start..at].starts_with(b"2.25.")
    };
    bytes.windows(part.len()).enumerate().any(|(at, window)| window == part && !in_new_uid(at))
}

fn wide(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

/// Plants canaries and remembers them.
struct Planter {
    seed: u64,
    count: u64,
    canaries: Vec<String>,
}

impl Planter {
    fn text(&mut self) -> String {
        self.count += 1;
        let text = format!("CNRY{:X}X{:X}", self.seed, self.count);
        self.canaries.push(text.clone());
        text
    }

    /// A UID that is nobody's.
    fn uid(&mut self) -> String {
        self.count += 1;
        let text = format!("1.9.77.{}.{}", self.seed + 1, self.count);
        self.canaries.push(text.clone());
        text
    }

    /// A day in 1877: no made-up value of the program lies there.
    fn day(&mut self) -> String {
        self.count += 1;
        let text = format!("18770{}{:02}", self.count % 9 + 1, self.count % 28 + 1);
        self.canaries.push(text.clone());
        text
    }

    /// An element of the attribute's representation with a canary in it.
    fn element(&mut self, tag: Tag, vr: VR, depth: usize) -> DataElement<InMemDicomObject> {
        let text = |text: String| PrimitiveValue::from(text.as_str());
        let value: Value<InMemDicomObject, Vec<u8>> = match vr {
            VR::SQ => DataSetSequence::from(vec![self.item(depth + 1)]).into(),
            VR::UI => text(self.uid()).into(),
            VR::DA => text(self.day()).into(),
            VR::DT => text(self.day() + "101112").into(),
            VR::TM => PrimitiveValue::from("101112").into(),
            VR::DS | VR::IS | VR::AS => text(self.text()[..].chars().take(12).collect()).into(),
            VR::OB | VR::UN | VR::OW => PrimitiveValue::U8(self.even_bytes().into()).into(),
            VR::US => PrimitiveValue::U16([0x4E43, 0x5952].as_slice().into()).into(),
            VR::SS => PrimitiveValue::I16([7].as_slice().into()).into(),
            VR::UL => PrimitiveValue::U32([7].as_slice().into()).into(),
            VR::SL => PrimitiveValue::I32([7].as_slice().into()).into(),
            VR::FL | VR::OF => PrimitiveValue::F32([7.0].as_slice().into()).into(),
            VR::FD | VR::OD => PrimitiveValue::F64([7.0].as_slice().into()).into(),
            VR::AT => PrimitiveValue::Tags([Tag(0x0010, 0x0010)].as_slice().into()).into(),
            _ => text(self.text()).into(),
        };
        let vr = if vr == VR::OW { VR::OB } else { vr };
        DataElement::new(tag, vr, value)
    }

    fn even_bytes(&mut self) -> Vec<u8> {
        let mut bytes = self.text().into_bytes();
        bytes.resize(bytes.len() + bytes.len() % 2, 0);
        bytes
    }

    /// An item with identifiers of its own, and with a sequence in a sequence.
    fn item(&mut self, depth: usize) -> InMemDicomObject {
        let mut item = InMemDicomObject::new_empty();
        for (tag, vr) in [
            (tags::PATIENT_NAME, VR::PN),
            (tags::REFERENCED_SOP_INSTANCE_UID, VR::UI),
            (tags::STUDY_DATE, VR::DA),
            (tags::TEXT_VALUE, VR::UT),
            (Tag(0x0011, 0x0010), VR::LO),
            (Tag(0x0011, 0x1001), VR::LO),
        ] {
            let element = self.element(tag, vr, depth);
            item.put(element);
        }
        if depth < 4 {
            for tag in [tags::CONTENT_SEQUENCE, tags::REFERENCED_IMAGE_SEQUENCE, Tag(0x0011, 0x1002)] {
                if !(self.seed + depth as u64 + u64::from(tag.1)).is_multiple_of(3) {
                    let element = self.element(tag, VR::SQ, depth);
                    item.put(element);
                }
            }
        }
        item
    }
}

fn vr_of(tag: Tag) -> VR {
    let entry = StandardDataDictionary.by_tag(tag);
    entry.and_then(|entry| entry.vr().exact()).unwrap_or(VR::UN)
}

/// The file of that seed: kind, transfer syntax and nesting differ.
pub fn file(seed: u64) -> Made {
    let mut planter = Planter { seed, count: 0, canaries: Vec::new() };
    let mut object = InMemDicomObject::new_empty();
    let rows = TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split('\t').next());
    for row in rows {
        let Some((group, element)) = row.split_once(',') else { continue };
        let number = |text: &str| {
            u16::from_str_radix(
                &text
                    .replace("xx", if text.len() == 4 && text.starts_with(['5', '6']) { "02" } else { "00" })
                    .replace('x', "0"),
                16,
            )
        };
        let (Ok(group), Ok(element)) = (number(group), number(element)) else { continue };
        // Commands, file meta and directories cannot stand in a data set; file meta is planted below.
        if group < 8 {
            continue;
        }
        let tag = Tag(group, element);
        let planted = planter.element(tag, if group == 0x5002 { VR::OB } else { vr_of(tag) }, 0);
        object.put(planted);
    }
    for (tag, vr) in [
        (Tag(0x0009, 0x0010), VR::LO),
        (Tag(0x0009, 0x1001), VR::LO),
        (Tag(0x0009, 0x1002), VR::SQ),
        (Tag(0x0029, 0x0010), VR::LO),
        (Tag(0x0029, 0x1010), VR::OB),
        (Tag(0x0008, 0xFFF0), VR::LO),
        (Tag(0x5000, 0x3000), VR::OB),
        (Tag(0x5000, 0x0022), VR::LO),
        (Tag(0x6000, 0x3000), VR::OB),
        (Tag(0x6000, 0x0022), VR::LO),
        (Tag(0x6000, 0x1500), VR::LO),
        (Tag(0x601E, 0x4000), VR::LT),
    ] {
        let element = planter.element(tag, vr, 0);
        object.put(element);
    }
    let classes = [
        uids::CT_IMAGE_STORAGE,
        uids::ENHANCED_MR_IMAGE_STORAGE,
        uids::BASIC_TEXT_SR_STORAGE,
        uids::RT_PLAN_STORAGE,
        uids::RAW_DATA_STORAGE,
    ];
    let class = classes[seed as usize % classes.len()];
    object.put(DataElement::new(tags::SOP_CLASS_UID, VR::UI, PrimitiveValue::from(class)));
    object.put(DataElement::new(tags::ROWS, VR::US, PrimitiveValue::from(2u16)));
    #[allow(deprecated)]
    let syntaxes = [
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        uids::EXPLICIT_VR_BIG_ENDIAN,
        uids::JPEG_BASELINE8_BIT,
    ];
    let syntax = syntaxes[seed as usize / 2 % syntaxes.len()];
    if syntax == uids::JPEG_BASELINE8_BIT {
        let pixels = PixelFragmentSequence::new(Vec::<u32>::new(), vec![vec![0xFF, 0xD8, 0xFF, 0xD9]]);
        object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, pixels));
    }
    let mut bytes = Vec::new();
    let meta = FileMetaTableBuilder::new()
        .transfer_syntax(syntax)
        .source_application_entity_title("CNRYAE")
        .implementation_version_name("CNRYVERSION")
        .private_information_creator_uid("1.9.77.0.1")
        .private_information(b"CNRYPRIVATE ".to_vec());
    object.with_meta(meta).expect("meta").write_all(&mut bytes).expect("written to memory");
    // The preamble is free for any use, and bytes may follow the data set.
    bytes[..12].copy_from_slice(b"CNRYPREAMBLE");
    planter.canaries.extend(["CNRYAE", "CNRYVERSION", "1.9.77.0.1", "CNRYPRIVATE", "CNRYPREAMBLE"].map(String::from));
    Made { bytes, canaries: planter.canaries }
}
