//! Sentences of good texts, in two halves: the checks were developed on one, the figures are reported on the other.
//!
//! `{m}` image of its modality, `{a}` name of an attribute, `{v}` its value, `{n}` name of a marked thing, `{k}` how many, `{p}` its place.

/// The sentences of one half in one language.
pub struct Phrasing {
    /// What the picture is.
    pub openings: &'static [&'static str],
    /// What a label says.
    pub labels: &'static [&'static str],
    /// That something is marked.
    pub marked: &'static [&'static str],
    /// How many are marked.
    pub counted: &'static [&'static str],
    /// Where something lies.
    pub placed: &'static [&'static str],
    /// The beginning of a region's description.
    pub regions: &'static [&'static str],
    /// What is truly absent: `{f}` is a finding that the record does not have.
    pub absent: &'static [&'static str],
    /// What can be said of any image.
    pub fillers: &'static [&'static str],
    /// What can be said of anything marked: outline, tone, texture.
    pub features: &'static [&'static str],
}

pub const DEVELOPMENT_EN: Phrasing = Phrasing {
    openings: &[
        "This is {m}.",
        "The image is {m} of good quality.",
        "Shown here is {m}, displayed in its usual orientation.",
        "{m} is presented.",
        "We are looking at {m} with clear contrast between structures.",
        "The picture, {m}, gives an overview of the structures in view.",
    ],
    labels: &[
        "The {a} is {v}.",
        "The appearance is consistent with {v}.",
        "Overall, the picture corresponds to {v}.",
        "In this case the {a} can be given as {v}.",
        "What is seen fits {v}.",
        "The visible features most likely represent {v}.",
    ],
    marked: &[
        "A {n} can be made out.",
        "The image contains at least one {n}.",
        "Among the visible structures there is a {n}.",
        "One can recognise a {n} by its outline.",
    ],
    counted: &[
        "There are {k} {n} in the image.",
        "A total of {k} {n} can be counted.",
        "{k} {n} are visible.",
        "The image shows {k} {n}.",
    ],
    placed: &[
        "The {n} lies in the {p} part of the image.",
        "A {n} is located at the {p} of the picture.",
        "In the {p} area of the image, a {n} stands out.",
    ],
    regions: &[
        "This region shows a {n}.",
        "This region contains a {n} with a well-defined border.",
        "This region corresponds to a {n}.",
        "This region is occupied by a {n}, which differs from its surroundings in brightness.",
    ],
    absent: &[
        "There is no {f}.",
        "No sign of {f} is visible.",
        "The image is free of {f}.",
        "{f} is not seen.",
        "Neither {f} nor other additional changes are present.",
    ],
    fillers: &[
        "The contrast allows the main structures to be told apart.",
        "Edges are sharp and noise is low.",
        "The background is uniform.",
        "Brightness varies smoothly across the field of view.",
        "The remaining parts of the image show nothing remarkable.",
        "The borders of the image are dark.",
    ],
    features: &[
        "Its outline is smooth and roughly oval.",
        "It appears brighter than the surrounding tissue.",
        "The texture inside is slightly heterogeneous.",
        "Its margin is clearly set off against the background.",
        "The surface looks even.",
    ],
};

pub const HELD_OUT_EN: Phrasing = Phrasing {
    openings: &[
        "Here we have {m} in which the relevant anatomy can be appreciated.",
        "The study provided for review is {m}.",
        "Visual inspection reveals that this is {m}.",
        "At first glance, {m} with adequate exposure and no major artifacts.",
        "Depicted is {m}; the field of view is centered on the structures of interest.",
        "As can be judged from its texture and gray-scale pattern, this picture is {m}.",
        "In {m} such as this one, tissue is rendered by differences in intensity.",
    ],
    labels: &[
        "Taken together, these features point towards {v}.",
        "The {a} in this image should be described as {v}.",
        "This pattern is best explained by {v}, and nothing in the image argues against it.",
        "An experienced reader would assign {v} as the {a}.",
        "Regarding the {a}: {v}.",
        "The findings are suggestive of {v}, rather than of anything else.",
        "There is evidence of {v} when the whole image is taken into account.",
        "With respect to the {a}, the image can be classified as {v}.",
    ],
    marked: &[
        "A closer look discloses a {n} standing out from its neighborhood.",
        "Notably, a {n} is present within the field of view.",
        "Attention is drawn to a {n}, whose contour can be followed without interruption.",
        "It is possible to identify a {n} here.",
    ],
    counted: &[
        "Altogether {k} {n} are discernible.",
        "Counting yields {k} {n}.",
        "In all, {k} distinct {n} can be distinguished from the background.",
        "One finds exactly {k} {n} within the frame.",
    ],
    placed: &[
        "Its position, towards the {p} of the frame, makes the {n} easy to find.",
        "Looking at the {p} portion of the picture, one notices a {n}.",
        "The {n} occupies the {p} section of the image.",
    ],
    regions: &[
        "This region depicts a {n} whose edges gradually blend into the adjacent background.",
        "This region is dominated by a {n} of rather homogeneous appearance.",
        "This region most likely represents a {n}, as its shape and tone suggest.",
        "This region, seen in isolation, displays a {n} and a narrow rim of neighboring tissue.",
    ],
    absent: &[
        "Features of {f} are lacking.",
        "Without any indication of {f}, the interpretation remains straightforward.",
        "{f} can be ruled out on the basis of this image.",
        "There is nothing to suggest {f}.",
        "No convincing evidence for {f} could be found.",
        "The image does not demonstrate {f}.",
    ],
    fillers: &[
        "Gray values range from nearly black to bright white, giving the image considerable depth.",
        "Image noise is moderate and does not impair interpretation.",
        "Structures in the periphery are less sharply delineated than those in the middle.",
        "The overall composition is symmetric and technically satisfactory.",
        "Fine detail is preserved throughout, which helps to separate neighboring structures.",
        "Illumination is even, and there is no motion blur.",
    ],
    features: &[
        "It is set apart by a subtle difference in color and a faint halo.",
        "Toward its periphery the signal falls off, while the center stays comparatively bright.",
        "The contour is lobulated, yet continuous along its full circumference.",
        "Internally, a fine granular texture can be perceived.",
        "Its shape is elongated, with one end tapering off.",
    ],
};

pub const DEVELOPMENT_ZH: Phrasing = Phrasing {
    openings: &["这是一幅{m}。", "该图为{m}，图像清晰。", "所示为{m}。", "图中为{m}，对比度良好。"],
    labels: &["{a}为{v}。", "图像表现符合{v}。", "整体来看，{a}是{v}。", "所见特征提示{v}。"],
    marked: &["图中可见{n}。", "图像中存在{n}。", "可以辨认出{n}。"],
    counted: &["图中共有{k}个{n}。", "可见{k}个{n}。", "图像中{n}的数量为{k}个。"],
    placed: &["{n}位于图像{p}。", "在图像{p}可见{n}。"],
    regions: &["该区域显示{n}。", "该区域为{n}，边界清楚。", "该区域对应{n}，与周围背景分界明显。"],
    absent: &["未见{f}。", "没有{f}的征象。", "图像中无{f}。"],
    fillers: &["图像背景均匀。", "各结构边缘清晰，噪声较低。", "明暗过渡自然。"],
    features: &["其轮廓光滑，大致呈椭圆形。", "与周围组织相比亮度较高。", "内部纹理略不均匀。"],
};

pub const HELD_OUT_ZH: Phrasing = Phrasing {
    openings: &[
        "从成像特点判断，本图属于{m}。",
        "提供的影像是{m}，整体曝光适中。",
        "观察可知，这张图片是{m}。",
        "此图系{m}，视野内结构显示良好。",
    ],
    labels: &[
        "综合影像特征，可判断{a}为{v}。",
        "就{a}而言，应描述为{v}。",
        "上述改变与{v}相吻合。",
        "结合形态特点，考虑为{v}。",
    ],
    marked: &["仔细观察，视野内能够看到{n}。", "值得注意的是，图中出现了{n}。", "其中可清楚分辨{n}的轮廓。"],
    counted: &["经计数，共{k}个{n}清晰可辨。", "全图一共能分辨出{k}个{n}。", "视野中分布着{k}个{n}。"],
    placed: &["从位置上看，{n}处在图像{p}。", "观察图像{p}，可以发现{n}。"],
    regions: &[
        "该区域主要由{n}构成，色调较为一致。",
        "该区域呈现的是{n}，其边缘逐渐过渡到背景。",
        "该区域内所见结构很可能是{n}。",
    ],
    absent: &["{f}的表现未能见到。", "并未发现{f}。", "不支持{f}的诊断。", "可以排除{f}。"],
    fillers: &["灰度层次丰富，细节保留完整。", "周边结构相对模糊，但不影响观察。", "画面光照均匀，没有运动伪影。"],
    features: &["外形略呈长条状，一端逐渐变细。", "边缘可见淡淡的光晕，颜色与周围稍有差别。", "内部呈细颗粒状质地。"],
};
