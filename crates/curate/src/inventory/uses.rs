//! What a group is good for: the kinds of image-text pair that `gmai curate` makes of it, and what stands in the way of the rest.

use super::Layout;
use super::layout::Building;
use gmai_schema::Form;
use serde::Serialize;

/// A kind of pair, by what it teaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UseKind {
    /// Which modality is it.
    Recognition,
    /// Which class, which finding.
    Classification,
    /// Where is it, as a box.
    Detection,
    /// Which pixels, as masks in the records.
    Segmentation,
    /// Where is it, as a point.
    Pointing,
    /// How many are there.
    Counting,
    /// Reports of images, and their sections.
    Reports,
    /// Questions and answers by people.
    Questions,
    /// Conversations by people.
    Conversations,
    /// Values with units.
    Measurements,
}

impl UseKind {
    /// What a reader sees.
    pub fn name(self) -> &'static str {
        match self {
            UseKind::Recognition => "modality recognition",
            UseKind::Classification => "classification",
            UseKind::Detection => "detection",
            UseKind::Segmentation => "segmentation",
            UseKind::Pointing => "pointing",
            UseKind::Counting => "counting",
            UseKind::Reports => "reports",
            UseKind::Questions => "questions and answers",
            UseKind::Conversations => "conversations",
            UseKind::Measurements => "measurements",
        }
    }
}

/// One kind of pair and whether a group gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Use {
    /// Which.
    pub kind: UseKind,
    /// Items that it can be made of with the draft as it is; 0 when it is blocked.
    pub items: u64,
    /// What an item is, in the plural.
    pub unit: &'static str,
    /// Forms of pair that come out.
    pub forms: Vec<Form>,
    /// Why it cannot be made; absent when it can.
    pub blocked: Option<Blocked>,
}

/// What stands in the way, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blocked {
    /// Why.
    pub reason: String,
    /// What to do.
    pub remedy: String,
}

fn possible(kind: UseKind, items: u64, unit: &'static str, forms: &[Form]) -> Use {
    Use { kind, items, unit, forms: forms.to_vec(), blocked: None }
}

fn blocked(kind: UseKind, reason: impl Into<String>, remedy: impl Into<String>) -> Use {
    let blocked = Some(Blocked { reason: reason.into(), remedy: remedy.into() });
    Use { kind, items: 0, unit: "", forms: Vec::new(), blocked }
}

/// Fills in what the group is good for, and the forms of pair that come out of it.
pub(super) fn fill(building: &mut Building) {
    let uses = match building.group.layout.is_text() {
        true => of_texts(building),
        false => of_images(building),
    };
    let made = |form: &Form| uses.iter().any(|one| one.forms.contains(form));
    building.group.forms = Form::ALL.into_iter().filter(made).collect();
    building.group.uses = uses;
}

fn of_texts(building: &Building) -> Vec<Use> {
    let group = &building.group;
    if group.draft.is_none() {
        let reason = group.notes.first().cloned().unwrap_or_else(|| "nothing in it can be read as a report".to_owned());
        return vec![blocked(UseKind::Reports, reason, "write reports as text, CSV, FHIR, HL7 v2, C-CDA or BioC")];
    }
    let with_images = !building.images.is_empty();
    let mut uses = Vec::new();
    let askable = building.askable;
    uses.push(match (with_images, askable > 0) {
        (true, _) => possible(UseKind::Reports, group.entries, "reports", &[Form::ImageCaption, Form::Instruction]),
        (false, true) => possible(UseKind::Reports, askable, "reports", &[Form::Instruction]),
        (false, false) => {
            let reason = format!(
                "{} texts without pictures, none in English or Chinese with two sections such as FINDINGS and IMPRESSION",
                group.entries
            );
            let remedy = "set `images` in the draft, e.g. `images/{stem}.png`, or let a language model write questions ([author])";
            blocked(UseKind::Reports, reason, remedy)
        }
    });
    if building.measurements > 0 {
        uses.push(possible(UseKind::Measurements, building.measurements, "values", &[Form::Instruction]));
    }
    if !with_images && askable > 0 {
        uses.push(blocked(
            UseKind::Recognition,
            "no picture is named after a report",
            "set `images` in the draft, e.g. `images/{stem}.png`: the reports become captions of pictures",
        ));
    }
    uses
}

fn of_images(building: &Building) -> Vec<Use> {
    let group = &building.group;
    let Some(draft) = &group.draft else {
        let reason = match group.layout {
            Layout::Unannotated => {
                "neither folders, tables nor annotation files say anything about these images".to_owned()
            }
            _ => group.notes.last().cloned().unwrap_or_else(|| "no config could be drafted".to_owned()),
        };
        let label = "add a table with a column of file names, or sort the pictures into a folder per class";
        return vec![
            blocked(UseKind::Classification, reason, label),
            blocked(
                UseKind::Recognition,
                "no header says how they were acquired",
                "set `modality` in a config of one's own (kind class_folders)",
            ),
            blocked(
                UseKind::Detection,
                "nothing is marked",
                "mark regions in COCO, YOLO, VOC, LabelMe or mask pictures",
            ),
        ];
    };
    let (knows_modality, has_regions) =
        (draft.header_modality || draft.modality_by.is_some(), !draft.region_terms.is_empty());
    let mut uses = Vec::new();
    let facts = draft.attributes.iter().filter(|attribute| attribute.num_values() > 1).count();
    let several = facts + usize::from(knows_modality) + usize::from(has_regions) > 1;
    let talk = |mut forms: Vec<Form>| {
        forms.extend(several.then_some(Form::Conversation));
        forms
    };
    uses.push(if facts > 0 {
        let forms = talk(vec![Form::ImageCaption, Form::Instruction, Form::MultipleChoice]);
        possible(UseKind::Classification, group.annotated, group.layout.unit(), &forms)
    } else {
        let refused = |note: &&String| note.contains("join") || note.contains("outside their folder");
        let table = group.notes.iter().find(refused).cloned();
        blocked(
            UseKind::Classification,
            table.unwrap_or_else(|| "no label says what an image as a whole shows".to_owned()),
            match group.layout {
                Layout::DicomSeries => "add a table with a column of PatientID, study or series",
                _ => "add a table with a column of file names",
            },
        )
    });
    uses.extend(regions(building, has_regions, draft.region_terms.len() > 1, &talk));
    uses.extend(texts(building, draft.report.is_some()));
    uses.push(if knows_modality {
        let forms = talk(vec![Form::ImageCaption, Form::Instruction, Form::MultipleChoice]);
        possible(UseKind::Recognition, group.images, group.layout.unit(), &forms)
    } else {
        blocked(
            UseKind::Recognition,
            "files do not say how they were acquired",
            "set `modality` in the draft: each image then gets questions on it",
        )
    });
    uses
}

fn regions(building: &Building, has_regions: bool, several: bool, talk: &dyn Fn(Vec<Form>) -> Vec<Form>) -> Vec<Use> {
    let group = &building.group;
    let is_points = group.layout == Layout::Points
        || group.draft.as_ref().is_some_and(|draft| {
            draft.kind.iter().any(|(key, value)| *key == "columns" && value.get("point").is_some())
        });
    if !has_regions {
        let remedy = match group.layout {
            Layout::DicomSeries => "add DICOM SEG, RTSTRUCT or label maps of these series",
            _ => "mark regions in COCO, YOLO, VOC, LabelMe or mask pictures",
        };
        return vec![blocked(UseKind::Detection, "nothing is marked", remedy)];
    }
    let counting = blocked(
        UseKind::Counting,
        "files do not say that every instance is marked",
        "if it is so, set `exhaustive = true` under [source.regions]",
    );
    if is_points {
        let unit = "points";
        return vec![
            possible(UseKind::Pointing, group.entries, unit, &[Form::ImageCaption, Form::Perception]),
            counting,
        ];
    }
    let mut forms = talk(vec![Form::ImageCaption, Form::RegionCaption, Form::Perception]);
    // Where something lies is asked only of what is marked once in a picture.
    let once = building.masks.values().any(|masks| masks.len() == 1);
    forms.extend((group.layout != Layout::InstanceMasks || once).then_some(Form::Instruction));
    forms.extend(several.then_some(Form::MultipleChoice));
    let mut uses = Vec::new();
    let is_volume = matches!(group.layout, Layout::NiftiLabelMap | Layout::DicomSeries);
    let is_drawn =
        is_volume || matches!(group.layout, Layout::MaskBeside | Layout::ObserverMasks | Layout::InstanceMasks);
    let (items, unit) = match is_drawn {
        true => (group.annotated, group.layout.unit()),
        false => (group.entries, "boxes"),
    };
    uses.push(possible(UseKind::Detection, items, unit, &forms));
    uses.push(if building.outlines > 0 {
        let unit = if is_volume { "structures" } else { "outlines" };
        possible(UseKind::Segmentation, building.outlines, unit, &[Form::RegionCaption, Form::Perception])
    } else {
        blocked(UseKind::Segmentation, "boxes only, no outline", "add polygons (COCO, LabelMe, YOLO) or mask pictures")
    });
    uses.push(counting);
    uses
}

fn texts(building: &Building, has_report: bool) -> Vec<Use> {
    let group = &building.group;
    let mut uses = Vec::new();
    uses.push(match group.layout {
        Layout::QaJson => possible(UseKind::Questions, group.entries, "questions", &[Form::Instruction]),
        Layout::Conversations => {
            possible(UseKind::Conversations, group.entries, "conversations", &[Form::Conversation, Form::Instruction])
        }
        _ => blocked(
            UseKind::Questions,
            "no question was written by people",
            "templates write questions on all of the above; [author] lets a language model write more",
        ),
    });
    uses.push(if has_report {
        possible(UseKind::Reports, group.annotated, "reports", &[Form::ImageCaption])
    } else {
        blocked(
            UseKind::Reports,
            "no report belongs to these images",
            "add a text file of the same name per image, or a column `report` in a table",
        )
    });
    if building.measurements > 0 {
        uses.push(possible(UseKind::Measurements, building.measurements, "values", &[Form::Instruction]));
    } else if group.layout == Layout::DicomSeries {
        uses.push(blocked(
            UseKind::Measurements,
            "no measured value belongs to these series",
            "add DICOM SR with measurements (TID 1500)",
        ));
    }
    uses
}
