"""Fits src/picture/trees.txt to `burned_in -- develop 700 --dump FILE`: python3 burned_in_fit.py FILE > trees. Needs numpy 2, scikit-learn 1.7.

Positive are the best lines that lie on the letters of made-up pictures (one per picture, chosen twice), negative all lines of clean ones.
Prints to stderr what four-fold cross-validation over pictures says of thresholds.
"""
import re
import sys

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier

NAMES = (
    "letters log_letters sharpness level_spread straightness size_spread gap_spread thickness_spread contrast log_contrast log_size "
    "log_thinness alignment clutter log_clutter fill fill_spread pitch width_spread pitch_off log_size_squared"
).split()


def features(letters, d):
    def log(value):
        return np.log(max(value, 1e-3))

    n = min(letters, 12)
    off = (d["pitch"] - 0.8) ** 2 if d["pitch"] < 3 else 4.8
    return [
        n, log(n), d["sharpness"], d["level_spread"], d["straightness"], d["size_spread"], d["gap_spread"], d["thickness_spread"],
        min(d["contrast"] / 100, 1.5), log(d["contrast"]), log(d["size"]), log(d["thinness"]), min(d["alignment"], 0.5),
        min(d["clutter"], 6.0), log(d["clutter"] + 0.3), d["fill"], d["fill_spread"], min(d["pitch"], 3), min(d["width_spread"], 1.0),
        off, log(d["size"]) ** 2,
    ]


rows = []
for line in open(sys.argv[1]):
    name, number, hit, score, letters, text = line.rstrip("\n").split("\t")
    values = {key: float(value) for key, value in re.findall(r"(\w+): ([-\d.einfNa]+)", text)}
    rows.append((name, int(number), hit == "1", float(score), features(int(letters), values)))
X = np.array([row[4] for row in rows])
index = np.array([row[1] for row in rows])
positive = np.array([row[0] == "made" and row[2] for row in rows])
negative = np.array([row[0] == "clean" for row in rows])
num_made, num_clean = index[[row[0] == "made" for row in rows]].max(), index[negative].max() + 1


def best(scores, mask):
    found = {}
    for row in np.where(mask)[0]:
        if index[row] not in found or scores[row] > scores[found[index[row]]]:
            found[index[row]] = row
    return found


def fit(positive, negative):
    scores = np.array([row[3] for row in rows])
    for _ in range(2):
        chosen = np.zeros_like(positive)
        chosen[list(best(scores, positive).values())] = True
        mask = chosen | negative
        weight = np.where(chosen[mask], 0.5 * negative.sum() / max(chosen.sum(), 1), 1.0)
        model = GradientBoostingClassifier(
            n_estimators=100, max_depth=3, learning_rate=0.1, subsample=0.5, min_samples_leaf=10, random_state=0
        ).fit(X[mask], chosen[mask], sample_weight=weight)
        scores = model.decision_function(X)
    return model, scores


def folds(count):
    return np.random.RandomState(1).randint(0, 4, count)


made, clean = [], []
of_made, of_clean = folds(num_made + 1), folds(num_clean + 1)
for fold in range(4):
    kept = positive & (of_made[np.minimum(index, num_made)] != fold)
    _, scores = fit(kept, negative & (of_clean[np.minimum(index, num_clean)] != fold))
    text, quiet = best(scores, positive), best(scores, negative)
    made += [scores[text[i]] if i in text else -99 for i in range(1, num_made + 1) if of_made[i] == fold]
    clean += [scores[quiet[i]] if i in quiet else -99 for i in range(num_clean) if of_clean[i] == fold]
for threshold in (-1.0, -0.75, -0.5, -0.25, 0.0, 0.5):
    alarms, recall = (np.array(clean) >= threshold).mean(), (np.array(made) >= threshold).mean()
    print(f"threshold {threshold}: false alarms {alarms:.3f}, recall {recall:.3f}", file=sys.stderr)

model, _ = fit(positive, negative)
print("%.4f" % model._raw_predict_init(X[:1])[0, 0])
for estimator in model.estimators_[:, 0]:
    tree = estimator.tree_

    def node(at):
        if tree.children_left[at] < 0:
            return "%.4f" % (tree.value[at][0][0] * model.learning_rate)
        below, above = node(tree.children_left[at]), node(tree.children_right[at])
        return "(%s %.5g %s %s)" % (NAMES[tree.feature[at]], tree.threshold[at], below, above)

    print(node(0))
