//! Words for facts that are not names: modalities as nouns, places, sizes, lists, boxes, answers.

use gmai_schema::{Axis, BoundingBox, Language, Modality, Point};

/// What an image of `modality` is called, in English with its article.
pub(super) fn image_noun(modality: Modality, language: Language) -> &'static str {
    let (en, zh) = match modality {
        Modality::Ct => ("a CT image", "CT图像"),
        Modality::Mr => ("an MR image", "磁共振图像"),
        Modality::XRay => ("an X-ray image", "X光图像"),
        Modality::Ultrasound => ("an ultrasound image", "超声图像"),
        Modality::Pathology => ("a histopathology image", "组织病理图像"),
        Modality::Microscopy => ("a microscopy image", "显微镜图像"),
        Modality::Endoscopy => ("an endoscopy image", "内窥镜图像"),
        Modality::Fundus => ("a fundus photograph", "眼底照片"),
        Modality::Dermoscopy => ("a dermoscopy image", "皮肤镜图像"),
        Modality::Oct => ("an optical coherence tomography image", "光学相干断层扫描图像"),
        Modality::InfraredReflectance => ("an infrared reflectance image", "红外反射图像"),
        Modality::Pet => ("a PET image", "PET图像"),
        Modality::Ophthalmoscope => ("an ophthalmoscopy image", "检眼镜图像"),
    };
    match language {
        Language::En | Language::Ja => en,
        Language::Zh => zh,
    }
}

/// Answers that name `modality` rightly, the one to be learned first.
pub(super) fn modality_answers(modality: Modality, language: Language) -> Vec<String> {
    let others: &[&str] = match (modality, language) {
        (Modality::Ct, Language::En) => &["computed tomography", "CT scan"],
        (Modality::Ct, Language::Zh) => &["计算机断层扫描"],
        (Modality::Mr, Language::En) => &["MRI", "magnetic resonance imaging", "magnetic resonance"],
        (Modality::Mr, Language::Zh) => &["MR", "MRI", "磁共振成像", "核磁共振"],
        (Modality::XRay, Language::En) => &["radiography", "radiograph", "xray", "x ray"],
        (Modality::XRay, Language::Zh) => &["X线", "X射线"],
        (Modality::Ultrasound, Language::En) => &["ultrasonography", "sonography"],
        (Modality::Ultrasound, Language::Zh) => &["超声成像", "B超"],
        (Modality::Pathology, Language::En) => &["pathology", "histology"],
        (Modality::Pathology, Language::Zh) => &["病理"],
        (Modality::Microscopy, Language::Zh) => &["显微镜检查", "显微成像"],
        (Modality::Endoscopy, Language::Zh) => &["内镜"],
        (Modality::Fundus, Language::En) => &["fundus photograph", "fundus"],
        (Modality::Fundus, Language::Zh) => &["眼底照片", "眼底彩照"],
        (Modality::Dermoscopy, Language::En) => &["dermatoscopy"],
        (Modality::Oct, Language::En) => &["OCT"],
        (Modality::Oct, Language::Zh) => &["OCT"],
        (Modality::Pet, Language::En) => &["positron emission tomography"],
        (Modality::Pet, Language::Zh) => &["正电子发射断层扫描"],
        (Modality::Ophthalmoscope, Language::En) => &["ophthalmoscope"],
        _ => &[],
    };
    std::iter::once(modality.name(language)).chain(others.iter().copied()).map(str::to_owned).collect()
}

/// Whether an image of one could rightly be called the other, so that they never stand in one question: tissue sections are seen
/// through a microscope, and an ophthalmoscope shows the fundus.
pub(super) fn confusable(one: Modality, other: Modality) -> bool {
    use Modality::{Fundus, Microscopy, Ophthalmoscope, Pathology};
    let pair = |a, b| (one, other) == (a, b) || (one, other) == (b, a);
    one == other || pair(Pathology, Microscopy) || pair(Fundus, Ophthalmoscope)
}

/// What a slice along `axis` is called.
pub(super) fn plane(axis: Axis, language: Language) -> &'static str {
    match (axis, language) {
        (Axis::Axial, Language::En | Language::Ja) => "axial",
        (Axis::Coronal, Language::En | Language::Ja) => "coronal",
        (Axis::Sagittal, Language::En | Language::Ja) => "sagittal",
        (Axis::Axial, Language::Zh) => "横断面",
        (Axis::Coronal, Language::Zh) => "冠状面",
        (Axis::Sagittal, Language::Zh) => "矢状面",
    }
}

/// A side this long, as a share of the image, reaches across it: no third of the image names its place.
const ACROSS: f32 = 0.7;

/// Where a box lies on the picture (not in the body): `in the upper left part of the image`, `图像左上部`.
pub(super) fn place(bounds: &BoundingBox, language: Language) -> &'static str {
    let third = |low: f32, high: f32| ((((low + high) / 2.0) * 3.0) as usize).min(2);
    let (column, row) = (third(bounds.x1, bounds.x2), third(bounds.y1, bounds.y2));
    let wide = bounds.x2 - bounds.x1 >= ACROSS;
    let tall = bounds.y2 - bounds.y1 >= ACROSS;
    match (language, wide, tall) {
        (Language::En | Language::Ja, true, true) => "across most of the image",
        (Language::Zh, true, true) => "图像大部分区域",
        (Language::En | Language::Ja, true, false) => [
            "across the upper part of the image",
            "across the middle of the image",
            "across the lower part of the image",
        ][row],
        (Language::Zh, true, false) => ["图像上部", "图像中部", "图像下部"][row],
        (Language::En | Language::Ja, false, true) => {
            ["along the left side of the image", "along the middle of the image", "along the right side of the image"]
                [column]
        }
        (Language::Zh, false, true) => ["图像左侧", "图像中间", "图像右侧"][column],
        (Language::En | Language::Ja, false, false) => [
            "in the upper left part of the image",
            "in the upper middle part of the image",
            "in the upper right part of the image",
            "in the left middle part of the image",
            "in the center of the image",
            "in the right middle part of the image",
            "in the lower left part of the image",
            "in the lower middle part of the image",
            "in the lower right part of the image",
        ][row * 3 + column],
        (Language::Zh, false, false) => [
            "图像左上部",
            "图像上部中间",
            "图像右上部",
            "图像左侧中部",
            "图像中央",
            "图像右侧中部",
            "图像左下部",
            "图像下部中间",
            "图像右下部",
        ][row * 3 + column],
    }
}

/// Where a point lies on the picture.
pub(super) fn place_of_point(point: &Point, language: Language) -> &'static str {
    place(&BoundingBox { x1: point.x, y1: point.y, x2: point.x, y2: point.y }, language)
}

/// A point as text: `<point>[[0.35, 0.4]]</point>`.
pub(super) fn point(point: &Point) -> String {
    format!("<point>{point}</point>")
}

/// How large a box is beside the image: below 1 %, below 5 %, below 20 %, or more of its area.
pub(super) fn size(bounds: &BoundingBox, language: Language) -> &'static str {
    let step = [0.01, 0.05, 0.20].iter().filter(|limit| bounds.area() >= **limit).count();
    match language {
        Language::En | Language::Ja => ["very small", "small", "medium-sized", "large"][step],
        Language::Zh => ["很小", "较小", "中等大小", "较大"][step],
    }
}

/// The share of the image that a box covers: `about 12%`, `约12%`.
pub(super) fn share(bounds: &BoundingBox, language: Language) -> String {
    let percent = (f64::from(bounds.area()) * 100.0).round() as u32;
    match (language, bounds.area() < 0.01) {
        (Language::En | Language::Ja, true) => "less than 1%".to_owned(),
        (Language::Zh, true) => "不到1%".to_owned(),
        (Language::En | Language::Ja, false) => format!("about {percent}%"),
        (Language::Zh, false) => format!("约{percent}%"),
    }
}

/// Names in a row: `a, b and c`, `a、b和c`.
pub(super) fn joined(names: &[&str], language: Language) -> String {
    let (comma, and) = match language {
        Language::En | Language::Ja => (", ", " and "),
        Language::Zh => ("、", "和"),
    };
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{}{and}{last}", first.join(comma)),
    }
}

/// `Yes` or `No` in `language`.
pub(super) fn yes_no(answer: bool, language: Language) -> &'static str {
    match (answer, language) {
        (true, Language::En | Language::Ja) => "Yes",
        (false, Language::En | Language::Ja) => "No",
        (true, Language::Zh) => "是",
        (false, Language::Zh) => "否",
    }
}

/// Whether a box still has an area once its edges are written with two decimals.
pub(super) fn writable(bounds: &BoundingBox) -> bool {
    let hundredths = |value: f32| (f64::from(value) * 100.0).round() as i64;
    hundredths(bounds.x1) < hundredths(bounds.x2) && hundredths(bounds.y1) < hundredths(bounds.y2)
}

/// Boxes as text: `<box>[[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]]</box>`.
pub(super) fn boxes(all: &[BoundingBox]) -> String {
    let each: Vec<String> = all
        .iter()
        .map(|bounds| bounds.to_string().trim_start_matches('[').trim_end_matches(']').to_owned())
        .map(|numbers| format!("[{numbers}]"))
        .collect();
    format!("<box>[{}]</box>", each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_picture() {
        let bounds = |x1, y1, x2, y2| BoundingBox { x1, y1, x2, y2 };
        assert_eq!(place(&bounds(0.0, 0.0, 0.2, 0.2), Language::En), "in the upper left part of the image");
        assert_eq!(place(&bounds(0.8, 0.4, 1.0, 0.6), Language::Zh), "图像右侧中部");
        assert_eq!(place(&bounds(0.0, 0.8, 1.0, 1.0), Language::En), "across the lower part of the image");
        assert_eq!(place(&bounds(0.0, 0.0, 1.0, 1.0), Language::En), "across most of the image");
    }

    #[test]
    fn several_boxes_stand_in_one_list() {
        let bounds = |x1| BoundingBox { x1, y1: 0.25, x2: 0.5, y2: 1.0 };
        assert_eq!(boxes(&[bounds(0.0)]), "<box>[[0, 0.25, 0.5, 1]]</box>");
        assert_eq!(boxes(&[bounds(0.0), bounds(0.1)]), "<box>[[0, 0.25, 0.5, 1], [0.1, 0.25, 0.5, 1]]</box>");
    }

    #[test]
    fn lists_end_with_and() {
        assert_eq!(joined(&["a", "b", "c"], Language::En), "a, b and c");
        assert_eq!(joined(&["甲", "乙"], Language::Zh), "甲和乙");
    }
}
