//! Good texts with one thing made wrong.

use crate::texts::{Draw, Half, Text, fill, image_noun, name, number_word, phrasing, place, plural};
use gmai_curate::verify::Rule;
use gmai_schema::{Language, Modality, Record, SourceFacts};

/// A text and what is wrong with it.
pub struct Planted {
    pub text: Text,
    pub rule: Rule,
}

/// What lies where: an organ of each part of the body.
const ORGANS: &[(&str, &str, &str)] = &[
    ("head", "brain", "大脑"),
    ("thorax", "lungs", "肺部"),
    ("abdomen", "liver", "肝脏"),
    ("leg", "knee", "膝关节"),
    ("skin", "skin", "皮肤"),
    ("arm", "wrist", "腕关节"),
    ("pelvis", "prostate", "前列腺"),
];

/// The part of the body that a record shows, where it says.
fn area(record: &Record) -> Option<&'static str> {
    let said: Vec<&str> = record
        .labels
        .iter()
        .map(|label| label.value.en.as_str())
        .chain(record.regions.iter().map(|region| region.term.en.as_str()))
        .collect();
    let said = said.join(" ");
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    match record.modality {
        Some(Modality::Fundus) => return Some("head"),
        Some(Modality::Dermoscopy) => return Some("skin"),
        _ => {}
    }
    if has(&["hippocampus", "head"]) {
        Some("head")
    } else if has(&[
        "lung",
        "pleural",
        "pneumo",
        "heart",
        "chest",
        "breast",
        "cardiomegaly",
        "emphysema",
        "atelectasis",
        "pulmonary",
    ]) {
        Some("thorax")
    } else if has(&["aorta", "vena cava", "colon"]) {
        None // They run through several parts.
    } else if has(&["liver", "spleen", "kidney", "stomach", "pancreas", "abdomen", "gallbladder", "renal"]) {
        Some("abdomen")
    } else if has(&["knee"]) {
        Some("leg")
    } else if has(&["hand"]) {
        Some("arm")
    } else {
        None
    }
}

/// Everything that can be made wrong with a text about this record.
pub fn plant(good: &Text, record: &Record, facts: &SourceFacts, half: Half, draw: &mut Draw) -> Vec<Planted> {
    let mut planted = Vec::new();
    let mut add = |rule: Rule, sentence: Option<String>, at: usize| {
        if let Some(sentence) = sentence {
            let mut text = good.clone();
            let at = at.min(text.sentences.len());
            text.sentences.insert(at, sentence);
            planted.push(Planted { text, rule });
        }
    };
    let end = good.sentences.len();
    add(Rule::Label, other_value(record, facts, half, good.language, draw), end);
    add(Rule::Label, denied_value(good, record, half, good.language, draw), end);
    add(Rule::Modality, other_modality(record, half, good.language, draw), 1);
    add(Rule::Organ, other_organ(record, half, good.language, draw), 1);
    add(Rule::Side, other_side(record, half, good.language), end);
    add(Rule::Number, other_number(good, record, half, good.language, draw), end);
    add(Rule::Size, other_size(good, record, half, good.language, draw), end);
    add(Rule::Grade, other_grade(record, half, good.language, draw), end);
    add(Rule::Position, other_place(good, record, half, good.language, draw), end);
    add(Rule::InventedFinding, invented(half, good.language, draw), end);
    add(Rule::Leakage, Some(leak(record, half, good.language, draw)), end);
    add(Rule::Identifier, Some(identifier(half, good.language, draw)), end);
    planted.extend(misshapen(good, half, draw));
    planted
}

fn other_value(
    record: &Record,
    facts: &SourceFacts,
    half: Half,
    language: Language,
    draw: &mut Draw,
) -> Option<String> {
    let attributes: Vec<_> = facts
        .attributes
        .iter()
        .filter(|attribute| {
            attribute.values.len() > 1 && record.labels.iter().any(|label| label.attribute == attribute.key)
        })
        .collect();
    let attribute = attributes.get(draw.below(attributes.len()))?;
    let has = |value: &&gmai_schema::Term| record.labels.iter().any(|label| label.value == **value);
    let others: Vec<_> = attribute.values.iter().filter(|value| !has(value)).collect();
    let other = others.get(draw.below(others.len()))?;
    let value = name(other, half, language, draw)?;
    Some(fill(draw.pick(phrasing(half, language).labels), &[("a", attribute.name.text(language)?), ("v", &value)]))
}

fn denied_value(good: &Text, record: &Record, half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    let tells = |key: &str| ["diagnosis", "finding", "severity", "stage", "category"].contains(&key);
    let plain = |en: &str| !en.starts_with("no") && !en.contains("normal");
    let labels: Vec<_> =
        record.labels.iter().filter(|label| tells(&label.attribute) && plain(&label.value.en)).collect();
    // A region's text need not tell the labels; of other regions it may rightly say that they are not there.
    let label = if good.region.is_some() { None } else { labels.get(draw.below(labels.len())) };
    let term = match label {
        Some(label) => &label.value,
        None => &record.regions.get(good.region.unwrap_or(draw.below(record.regions.len())))?.term,
    };
    let value = name(term, half, language, draw)?;
    Some(fill(draw.pick(phrasing(half, language).absent), &[("f", &value)]))
}

fn other_modality(record: &Record, half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    use Modality::{Ct, Dermoscopy, Endoscopy, Fundus, Microscopy, Mr, Pathology, Ultrasound, XRay};
    let own = record.modality?;
    let all = [Ct, Mr, XRay, Ultrasound, Endoscopy, Dermoscopy, Fundus, Pathology, Microscopy];
    let cells = [Pathology, Microscopy];
    let others: Vec<Modality> =
        all.into_iter().filter(|other| *other != own && !(cells.contains(&own) && cells.contains(other))).collect();
    let noun = image_noun(others[draw.below(others.len())], half, language);
    Some(fill(draw.pick(phrasing(half, language).openings), &[("m", noun)]))
}

fn other_organ(record: &Record, half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    let own = area(record)?;
    let others: Vec<_> =
        ORGANS.iter().filter(|(area, ..)| *area != own && !(own == "abdomen" && *area == "pelvis")).collect();
    let (_, en, zh) = others[draw.below(others.len())];
    Some(match (language, half) {
        (Language::En, Half::Development) => format!("The image shows the {en}."),
        (Language::En, Half::HeldOut) => format!("Anatomically, the {en} can be recognized at once."),
        (_, Half::Development) => format!("图像显示{zh}。"),
        (_, Half::HeldOut) => format!("从解剖上看，所见为{zh}结构。"),
    })
}

fn other_side(record: &Record, half: Half, language: Language) -> Option<String> {
    let said: Vec<&str> = record
        .labels
        .iter()
        .map(|label| label.value.en.as_str())
        .chain(record.regions.iter().map(|region| region.term.en.as_str()))
        .collect();
    let sided = |side: &str| said.iter().find_map(|name| name.strip_prefix(side).map(str::trim));
    let (other, organ) = match (sided("left "), sided("right ")) {
        (Some(organ), None) => ("right", organ),
        (None, Some(organ)) => ("left", organ),
        _ => return None,
    };
    let zh_side = if other == "left" { "左" } else { "右" };
    let zh_organ = match organ {
        "eye" => "眼",
        "kidney" => "肾",
        "knee" => "膝",
        _ => return None,
    };
    Some(match (language, half) {
        (Language::En, Half::Development) => format!("The {other} {organ} is shown."),
        (Language::En, Half::HeldOut) => format!("It is the {organ} of the {other} side that was examined."),
        (_, Half::Development) => format!("图中为{zh_side}{zh_organ}。"),
        (_, Half::HeldOut) => format!("受检部位是{zh_side}侧{zh_organ}。"),
    })
}

fn other_number(good: &Text, record: &Record, half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    let region = record.regions.get(good.region.unwrap_or(draw.below(record.regions.len())))?;
    let marked = match good.region {
        Some(_) => 1,
        None => record.regions.iter().filter(|other| other.term == region.term).count(),
    };
    let wrong = if marked > 2 && draw.chance(50) { marked - 1 } else { marked + 1 + draw.below(4) };
    let name = region.term.text(language)?.to_string();
    let many = if wrong > 1 && language == Language::En { plural(&name) } else { name };
    let count = if draw.chance(50) { wrong.to_string() } else { number_word(wrong, language) };
    Some(fill(draw.pick(phrasing(half, language).counted), &[("k", &count), ("n", &many)]))
}

fn other_size(good: &Text, record: &Record, half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    let measure = draw.chance(50) || good.region.is_none();
    let region = record.regions.get(good.region.unwrap_or(0))?;
    let name = region.term.text(language)?;
    let millimetres = 4 + draw.below(30);
    if measure {
        return Some(match (language, half) {
            (Language::En, Half::Development) => format!("The {name} measures {millimetres} mm."),
            (Language::En, Half::HeldOut) => {
                format!("With a largest diameter of roughly {millimetres}.5 millimeters, the {name} is easy to see.")
            }
            (_, Half::Development) => format!("{name}大小约{millimetres}毫米。"),
            (_, Half::HeldOut) => format!("{name}的最大径约为{millimetres}mm。"),
        });
    }
    let share = f64::from(region.bounds.area()) * 100.0;
    let wrong = if share < 40.0 { share + 35.0 } else { share / 3.0 }.round();
    Some(match (language, half) {
        (Language::En, Half::Development) => format!("It covers about {wrong}% of the image."),
        (Language::En, Half::HeldOut) => format!("Roughly {wrong} percent of the picture's area is taken up by it."),
        (_, Half::Development) => format!("约占图像的{wrong}%。"),
        (_, Half::HeldOut) => format!("其面积约占整幅图像的{wrong}%。"),
    })
}

fn other_grade(record: &Record, half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    let own: Vec<&str> = record.labels.iter().map(|label| label.value.en.as_str()).collect();
    let own = own.join(" ");
    let frame = |en: &str, zh: &str| match (language, half) {
        (Language::En, Half::Development) => format!("It is {en}."),
        (Language::En, Half::HeldOut) => format!("In terms of extent, this amounts to {en}."),
        (_, Half::Development) => format!("属于{zh}。"),
        (_, Half::HeldOut) => format!("就程度而言，应归为{zh}。"),
    };
    if own.contains("nonproliferative") {
        let others: Vec<_> = [("mild", "轻度"), ("moderate", "中度"), ("severe", "重度")]
            .into_iter()
            .filter(|(en, _)| !own.contains(en))
            .collect();
        let (en, zh) = others[draw.below(others.len())];
        return Some(frame(&format!("{en} diabetic retinopathy"), &format!("{zh}糖尿病视网膜病变")));
    }
    if let Some(at) = own.find("grade ") {
        let value: usize = own[at + 6..at + 7].parse().ok()?;
        let wrong = value % 4 + 1;
        return Some(frame(&format!("grade {wrong}"), &format!("{wrong}级")));
    }
    if own.contains("BI-RADS") {
        return Some(frame("BI-RADS category 3", "BI-RADS 3类"));
    }
    if own.contains("stage") {
        return Some(frame("stage IV", "IV期"));
    }
    // A grade where the record has none.
    let (en, zh) = [("grade 3", "3级"), ("stage II", "II期"), ("stage 4", "4期")][draw.below(3)];
    Some(frame(en, zh))
}

fn other_place(good: &Text, record: &Record, half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    let index = good.region.unwrap_or(0);
    let region = record.regions.get(index)?;
    if good.region.is_none() && record.regions.iter().filter(|other| other.term == region.term).count() > 1 {
        return None;
    }
    let (en, zh) = match place(&region.bounds)?.0 {
        "upper left" => ("lower right", "右下部"),
        "lower left" => ("upper right", "右上部"),
        "upper right" => ("lower left", "左下部"),
        "lower right" => ("upper left", "左上部"),
        _ => return None,
    };
    let p = if language == Language::En { en } else { zh };
    let name = region.term.text(language)?;
    Some(fill(draw.pick(phrasing(half, language).placed), &[("n", name), ("p", p)]))
}

/// Findings that none of the sets has, other than those whose absence good texts tell.
const INVENTED: &[(&str, &str)] = &[
    ("pulmonary embolism", "肺栓塞"),
    ("a fracture", "骨折"),
    ("cirrhosis", "肝硬化"),
    ("glaucoma", "青光眼"),
    ("an abscess", "脓肿"),
    ("lymphoma", "淋巴瘤"),
    ("tuberculosis", "结核"),
    ("metastatic disease", "转移瘤"),
    ("a meningioma", "脑膜瘤"),
    ("leukemia", "白血病"),
    ("calcifications", "钙化灶"),
    ("psoriasis", "银屑病"),
    ("an infarct", "梗死"),
    ("ulceration", "溃疡"),
    ("gallstones", "胆结石"),
];

fn invented(half: Half, language: Language, draw: &mut Draw) -> Option<String> {
    let (en, zh) = INVENTED[draw.below(INVENTED.len())];
    Some(match (language, half, draw.below(3)) {
        (Language::En, Half::Development, 0) => format!("There is also {en}."),
        (Language::En, Half::Development, 1) => format!("The appearance suggests {en}."),
        (Language::En, Half::Development, _) => format!("In addition, {en} can be seen."),
        (Language::En, Half::HeldOut, 0) => format!("A coexisting process, namely {en}, should be considered."),
        (Language::En, Half::HeldOut, 1) => format!("Such an appearance is typical of {en}."),
        (Language::En, Half::HeldOut, _) => format!("The presence of {en} accounts for the altered texture."),
        (_, Half::Development, 0) => format!("另可见{zh}。"),
        (_, Half::Development, _) => format!("提示{zh}。"),
        (_, Half::HeldOut, 0) => format!("同时合并{zh}。"),
        (_, Half::HeldOut, _) => format!("此种表现常见于{zh}。"),
    })
}

fn leak(record: &Record, half: Half, language: Language, draw: &mut Draw) -> String {
    let file = record.provenance.file.rsplit('/').next().unwrap_or("image.png").to_string();
    let list: Vec<String> = match (language, half) {
        (Language::En, Half::Development) => vec![
            "As an AI language model, I describe what I see.".into(),
            "This follows from the provided label.".into(),
            format!("The file is {file}."),
            "The bounding box is accurate.".into(),
        ],
        (Language::En, Half::HeldOut) => vec![
            "According to the annotation that was supplied, this is correct.".into(),
            "I'm sorry, but I cannot provide medical advice.".into(),
            "{\"modality\": \"known\", \"department\": \"known\"}".into(),
            "See region_caption for details.".into(),
            format!("Source: {file}."),
            "Based on the given facts, no more can be said.".into(),
        ],
        (_, Half::Development) => {
            vec!["根据提供的标签得出。".into(), "作为一个人工智能，我只能描述。".into(), "边界框内如上。".into()]
        }
        (_, Half::HeldOut) => vec![
            "根据标注信息，可以确认。".into(),
            "抱歉，我无法给出诊断。".into(),
            format!("文件名为{file}。"),
            "该描述依据元数据生成。".into(),
        ],
    };
    list[draw.below(list.len())].clone()
}

fn identifier(half: Half, language: Language, draw: &mut Draw) -> String {
    let list: &[&str] = match (language, half) {
        (Language::En, Half::Development) => &[
            "The examination was made on 12/03/2019.",
            "Patient ID 4711234.",
            "Mr. Miller was examined.",
            "A 57-year-old patient.",
        ],
        (Language::En, Half::HeldOut) => &[
            "It was acquired on March 4, 2017.",
            "Referring physician: Dr. Alvarez.",
            "For questions call 030-5557-8812.",
            "Recorded at St. Mary's Hospital.",
            "The patient is 63 years old.",
            "MRN 00918273.",
        ],
        (_, Half::Development) => &["检查日期为2019年3月12日。", "患者姓名张三。", "患者57岁。"],
        (_, Half::HeldOut) => &["拍摄于2021年7月。", "住院号00918273。", "来自北京协和医院。", "年龄63岁。"],
    };
    draw.pick(list).to_string()
}

/// Wrong beginnings, languages and lengths.
fn misshapen(good: &Text, half: Half, draw: &mut Draw) -> Vec<Planted> {
    let mut planted = Vec::new();
    let with = |sentences: Vec<String>| Text { sentences, ..good.clone() };
    if good.region.is_some() {
        let mut sentences = good.sentences.clone();
        let (en, zh) = if half == Half::Development {
            ("Here,", "此处为")
        } else {
            ("Within the marked area, ", "图中这一块")
        };
        sentences[0] = match good.language {
            Language::En => sentences[0].replacen("This region", en, 1),
            _ => sentences[0].replacen("该区域", zh, 1),
        };
        planted.push(Planted { text: with(sentences), rule: Rule::RegionStart });
    }
    let foreign: &[&str] = match (good.language, half) {
        (Language::En, Half::Development) => {
            &["这是一幅医学图像，显示了相关结构。", "La imagen muestra una estructura con los bordes del tejido."]
        }
        (Language::En, Half::HeldOut) => &[
            "所示为一幅影像，结构清晰可见。",
            "Das Bild zeigt eine Struktur mit der Umgebung und die Ränder.",
            "この画像は構造を示しています。",
        ],
        (_, Half::Development) => {
            &["This is a medical image that shows the structure.", "この画像には構造が見られます。"]
        }
        (_, Half::HeldOut) => &[
            "The picture gives a good view of the structures in question.",
            "本圖顯示該區域的結構與周邊組織。",
            "この画像では周囲との境界がはっきりしています。",
        ],
    };
    let start = if good.region.is_some() && good.language == Language::En { "This region: " } else { "" };
    planted.push(Planted { text: with(vec![format!("{start}{}", draw.pick(foreign))]), rule: Rule::Language });
    let text = match draw.below(3) {
        0 if good.question.is_empty() => with(vec![good.sentences[0].chars().take(4).collect()]),
        1 => with(good.sentences.iter().cycle().take(400).cloned().collect()),
        _ => with(std::iter::repeat_n(good.sentences[0].clone(), 5).collect()),
    };
    planted.push(Planted { text, rule: Rule::Length });
    planted
}
