//! The closed vocabularies of GMAI-VL-5.5M: 13 modalities, 18 departments and 18 clinical tasks
//! (paper, table 3 and figure 4; the task names are GMAI-MMBench's), each with its English, Chinese and Japanese name.

use serde::{Deserialize, Serialize};

/// The language of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
    /// Japanese: written by language models only, templates speak English and Chinese.
    Ja,
}

impl Language {
    /// Every language.
    pub const ALL: [Language; 3] = [Language::En, Language::Zh, Language::Ja];

    /// The key written in shards and configs: `en`, `zh` or `ja`.
    pub fn key(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Zh => "zh",
            Language::Ja => "ja",
        }
    }
}

/// Declares a vocabulary: an enum whose variants have a key (as written in configs and shards) and a name per language.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $key:literal, $en:literal, $zh:literal, $ja:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[doc = $en] #[serde(rename = $key)] $variant,)+
        }

        impl $name {
            /// Every member, in the order of this file.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The key written in configs and shards.
            pub fn key(self) -> &'static str {
                match self { $($name::$variant => $key,)+ }
            }

            /// The member with this key; `None` for any other text.
            pub fn from_key(key: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|member| member.key() == key)
            }

            /// The name a reader of `language` sees in the middle of a sentence.
            pub fn name(self, language: Language) -> &'static str {
                match (self, language) {
                    $(
                        ($name::$variant, Language::En) => $en,
                        ($name::$variant, Language::Zh) => $zh,
                        ($name::$variant, Language::Ja) => $ja,
                    )+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.key())
            }
        }
    };
}

vocabulary! {
    /// How an image was acquired.
    Modality {
        Ct = "ct", "CT", "CT", "CT";
        Mr = "mr", "MR", "磁共振", "MRI";
        XRay = "x_ray", "X-ray", "X光", "X線写真";
        Ultrasound = "ultrasound", "ultrasound", "超声", "超音波";
        Pathology = "pathology", "histopathology", "组织病理", "病理組織";
        Microscopy = "microscopy", "microscopy", "显微镜", "顕微鏡";
        Endoscopy = "endoscopy", "endoscopy", "内窥镜", "内視鏡";
        Fundus = "fundus", "fundus photography", "眼底照相", "眼底写真";
        Dermoscopy = "dermoscopy", "dermoscopy", "皮肤镜", "ダーモスコピー";
        Oct = "oct", "optical coherence tomography", "光学相干断层扫描", "光干渉断層計";
        InfraredReflectance = "infrared_reflectance", "infrared reflectance", "红外反射成像", "赤外反射";
        Pet = "pet", "PET", "PET", "PET";
        Ophthalmoscope = "ophthalmoscope", "ophthalmoscopy", "检眼镜", "検眼鏡";
    }
}

vocabulary! {
    /// The clinical department an image comes from.
    Department {
        OrthopedicSurgery = "orthopedic_surgery", "orthopedic surgery", "骨科", "整形外科";
        GeneralSurgery = "general_surgery", "general surgery", "普通外科", "一般外科";
        Gastroenterology = "gastroenterology_hepatology", "gastroenterology and hepatology", "消化肝病科", "消化器・肝臓内科";
        Hematology = "hematology", "hematology", "血液科", "血液内科";
        PulmonaryMedicine = "pulmonary_medicine", "pulmonary medicine", "呼吸内科", "呼吸器内科";
        SportsMedicine = "sports_medicine", "sports medicine", "运动医学科", "スポーツ医学科";
        Neurosurgery = "neurosurgery", "neurosurgery", "神经外科", "脳神経外科";
        Nephrology = "nephrology_hypertension", "nephrology and hypertension", "肾病高血压科", "腎臓・高血圧内科";
        Endocrinology = "endocrinology", "endocrinology", "内分泌科", "内分泌内科";
        InfectiousDiseases = "infectious_diseases", "infectious diseases", "感染科", "感染症科";
        Urology = "urology", "urology", "泌尿外科", "泌尿器科";
        Otolaryngology = "otolaryngology", "otolaryngology, head and neck surgery", "耳鼻喉头颈外科", "耳鼻咽喉科・頭頸部外科";
        CardiovascularSurgery = "cardiovascular_surgery", "cardiovascular surgery", "心血管外科", "心臓血管外科";
        ObstetricsGynecology = "obstetrics_gynecology", "obstetrics and gynecology", "妇产科", "産婦人科";
        LaboratoryMedicine = "laboratory_medicine_pathology", "laboratory medicine and pathology", "检验病理科", "臨床検査・病理診断科";
        Dermatology = "dermatology", "dermatology", "皮肤科", "皮膚科";
        Oncology = "oncology", "medical oncology", "肿瘤内科", "腫瘍内科";
        Ophthalmology = "ophthalmology", "ophthalmology", "眼科", "眼科";
    }
}

vocabulary! {
    /// What a question is about: the 18 clinical tasks, and three kinds of question that benchmarks add.
    Task {
        AttributeRecognition = "attribute_recognition", "attribute recognition", "属性识别", "属性認識";
        BloodVesselRecognition = "blood_vessel_recognition", "blood vessel recognition", "血管识别", "血管認識";
        BoneRecognition = "bone_recognition", "bone recognition", "骨骼识别", "骨認識";
        CellRecognition = "cell_recognition", "cell recognition", "细胞识别", "細胞認識";
        Counting = "counting", "counting", "计数", "計数";
        DiseaseDiagnosis = "disease_diagnosis", "disease diagnosis", "疾病诊断", "疾患診断";
        ImageQualityGrading = "image_quality_grading", "image quality grading", "图像质量分级", "画質評価";
        MicroorganismRecognition = "microorganism_recognition", "microorganism recognition", "微生物识别", "微生物認識";
        MuscleRecognition = "muscle_recognition", "muscle recognition", "肌肉识别", "筋肉認識";
        NervousTissueRecognition = "nervous_tissue_recognition", "nervous tissue recognition", "神经组织识别", "神経組織認識";
        OrganRecognitionAbdomen = "organ_recognition_abdomen", "abdominal organ recognition", "腹部器官识别", "腹部臓器認識";
        OrganRecognitionHeadNeck = "organ_recognition_head_neck", "head and neck organ recognition", "头颈器官识别", "頭頸部臓器認識";
        OrganRecognitionPelvic = "organ_recognition_pelvic", "pelvic organ recognition", "盆腔器官识别", "骨盤臓器認識";
        OrganRecognitionThorax = "organ_recognition_thorax", "thoracic organ recognition", "胸部器官识别", "胸部臓器認識";
        SeverityGrading = "severity_grading", "severity grading", "严重程度分级", "重症度分類";
        SurgeonActionRecognition = "surgeon_action_recognition", "surgeon action recognition", "术者动作识别", "術者動作認識";
        SurgicalInstrumentRecognition = "surgical_instrument_recognition", "surgical instrument recognition", "手术器械识别", "手術器具認識";
        SurgicalWorkflowRecognition = "surgical_workflow_recognition", "surgical workflow recognition", "手术流程识别", "手術工程認識";
        ModalityRecognition = "modality_recognition", "modality recognition", "模态识别", "モダリティ認識";
        BodyPartRecognition = "body_part_recognition", "body part recognition", "部位识别", "部位認識";
        QuestionAnswering = "question_answering", "visual question answering", "视觉问答", "視覚的質問応答";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_read_back() {
        for modality in Modality::ALL {
            assert_eq!(Modality::from_key(modality.key()), Some(*modality));
        }
        let mut keys: Vec<_> = Task::ALL.iter().map(|task| task.key()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), Task::ALL.len());
        assert_eq!((Modality::ALL.len(), Department::ALL.len()), (13, 18));
    }

    #[test]
    fn serde_uses_the_key() {
        assert_eq!(serde_json::to_string(&Modality::XRay).expect("plain enum"), "\"x_ray\"");
        assert!(serde_json::from_str::<Modality>("\"xray\"").is_err());
    }
}
