import base64
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from page import read_page
from PIL import Image
from run_fixture import CONFIG, NAMES, change_json, make_run, write_json, write_rows

from paddle_resnet.errors import UserError
from paddle_resnet.report.run_report import render_report, write_report
from paddle_resnet.runs.run_reader import read_run
from paddle_resnet.stats import wilson

HOSTILE = """</script><script>alert(1)</script>"><img src=x onerror=alert(1)>'{{7*7}}{% x %}&amp;"""


@pytest.fixture(scope="module")
def page(trained, tmp_path_factory):
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("report") / "run")
    return read_page(write_report(folder))


def report_of(folder):
    return read_page(write_report(folder))


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def cards_of(page):
    cards = page.one("ul", "cards").all("li")
    return {
        c.one(cls="label").text: tuple(d.text for d in c.all("div") if d.children)[1:]
        for c in cards
    }


def sections_of(page):
    return [h.text for h in page.one("main").all("h2")]


# ---- The whole page ------------------------------------------------------------------------


def test_writes_one_file_in_one_piece(run_dir):
    before = set(run_dir.iterdir())
    path = write_report(str(run_dir))
    assert path == run_dir / "report.html"
    assert set(run_dir.iterdir()) - before == {path}
    first = path.read_bytes()
    assert write_report(run_dir).read_bytes() == first  # nothing in it depends on the hour
    assert len(first) < 500_000


def test_tells_the_story_in_order(page):
    assert sections_of(page) == [
        "How it learned",
        "What is taken for what",
        "Does it know when it is sure?",
        "The most confident mistakes",
        "The recipe",
        "Where it ran, and how to run it again",
    ]
    assert page.one("h1").text == "resnet20"
    assert page.one("head").one("title").text == "resnet20 on CIFAR-10 – training report"
    assert page.one(cls="badge").text == "Finished"
    assert page.all(cls="notice") == []
    facts = page.one("p", "facts").text
    assert facts == "CIFAR-10 1,000 training images 3 May 2025, 14:05 UTC Paddle 3.3.1"


def external_references(page, text):
    """Everything by which a page could reach out of itself."""
    found = re.findall(r"@import|url\((?!data:)|https?://|//\w+\.\w+/", text)
    for element in page.all():
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            value = element.attributes.get(name, "data:")
            found += [] if value.startswith("data:") else [f"{element.tag} {name}={value}"]
        found += [f"{element.tag} {name}" for name in element.attributes if name.startswith("on")]
        found += [element.tag] * (element.tag in ("iframe", "object", "embed", "base", "form"))
    return found


def test_refers_to_nothing_outside_itself(page, trained, tmp_path):
    path = write_report(shutil.copytree(trained, tmp_path / "run"))
    assert external_references(page, path.read_text(encoding="utf-8")) == []
    (policy,) = [m.attributes["content"] for m in page.all("meta") if "http-equiv" in m.attributes]
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy


def test_can_be_used_without_eyes_or_a_mouse(page):
    assert page.one("html").attributes["lang"] == "en"
    for image in page.all("img"):
        assert " taken for " in image.attributes["alt"]
    for svg in page.all("svg"):
        assert svg.attributes.get("aria-label") or svg.attributes.get("aria-hidden") == "true"
    for head in page.all("th"):
        assert head.attributes["scope"] in ("row", "col")
    ids = [e.attributes["id"] for e in page.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    for section in page.all("section"):
        assert section.attributes["aria-labelledby"] in ids


def test_needs_no_paddle(run_dir):
    script = (
        "import sys; from paddle_resnet.report.run_report import write_report; "
        f"write_report({str(run_dir)!r}); assert 'paddle' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# ---- Figures -------------------------------------------------------------------------------


def test_key_figures(page, trained):
    result, cards = result_of(trained), cards_of(page)
    accuracy = result["test"]["acc_top1"]
    low, high = wilson(round(accuracy * 400), 400)
    assert cards["Test accuracy"][0] == f"{accuracy * 100:.2f} %"
    assert cards["Test accuracy"][1] == f"95 % interval {low * 100:.2f}–{high * 100:.2f} %"
    assert cards["Test accuracy, top 5"][0] == f"{result['test']['acc_top5'] * 100:.2f} %"
    assert cards["Test loss"] == (f"{result['test']['loss']:.4f}", "last weights")
    assert cards["Training time"] == ("8.0 s",)
    assert cards["Epochs"] == ("8", "160 steps")
    assert cards["Images per second"] == ("1,000", "2,346 in the test")
    assert cards["Parameters"] == ("272 k", "272,474")
    best = result["best"]
    assert cards["Best validation accuracy"] == (
        f"{best['val_acc_top1'] * 100:.2f} %",
        f"after epoch {best['epoch']}, loss {best['val_loss']:.4f}",
    )
    headline = page.one("p", "headline").text
    assert headline == (
        f"{accuracy * 100:.2f} % of 400 test images recognised after 8.0 s of training "
        "on 2 CPU threads."
    )


def test_confusion_matrix_equals_brute_force(page, trained):
    said = np.load(trained / "predictions.npz")
    labels, predicted = said["labels"], said["probabilities"].argmax(axis=1)
    table = page.one("table", "matrix")
    head = [th.text for th in table.one("thead").all("th")]
    assert head == NAMES
    rows = table.one("tbody").all("tr")
    assert [row.one("th").text for row in rows] == NAMES
    for t, row in enumerate(rows):
        for p, cell in enumerate(row.all("td")):
            count = int(((labels == t) & (predicted == p)).sum())
            assert cell.text == str(count)
            tip = cell.attributes["data-tip"].replace("\u00a0", " ")
            share = f"{count} of 40 ({count / 40 * 100:.1f} %)"
            assert tip.endswith(share)
            assert tip.startswith(
                f"{NAMES[t]} recognised" if t == p else f"{NAMES[t]} taken for {NAMES[p]}"
            )
    worst = page.one("ol", "pairs").all("li")[0].text
    assert worst.startswith(("cat taken for dog", "dog taken for cat"))


def test_class_table_equals_brute_force(page, trained):
    said = np.load(trained / "predictions.npz")
    labels, predicted = said["labels"], said["probabilities"].argmax(axis=1)
    (table,) = [t for t in page.all("table") if "data-sort" in t.attributes]
    for index, row in enumerate(table.one("tbody").all("tr")):
        own, taken = labels == index, predicted == index
        hits = (own & taken).sum()
        figures = (hits / taken.sum(), hits / own.sum(), 2 * hits / (own.sum() + taken.sum()))
        cells = [cell.text for cell in row.all("td")]
        assert row.one("th").text == NAMES[index]
        assert cells[:4] == ["40", *[f"{figure * 100:.1f} %" for figure in figures]]


def test_calibration_equals_brute_force(page, trained):
    said = np.load(trained / "predictions.npz")
    probabilities = said["probabilities"].astype(np.float64)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == said["labels"]
    error, filled = 0.0, 0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            filled += 1
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    section = page.one("section", **{"aria-labelledby": "h-calibration"})
    assert section.one(cls="big").text == f"{error * 100:.2f} %"
    assert len(section.one("tbody").all("tr")) == filled


def test_mistakes_are_the_images_of_the_run(page, trained):
    said = np.load(trained / "predictions.npz")
    tiles = page.one("ul", "gallery").all("li")
    assert len(tiles) == len(said["mistakes"])
    for tile, index, image in zip(tiles, said["mistakes"], said["mistake_images"]):
        row = said["probabilities"][index]
        true, predicted = NAMES[said["labels"][index]], NAMES[row.argmax()]
        assert tile.text == f"{true} said {predicted} {float(row.max()) * 100:.1f} % sure"
        kind, data = tile.one("img").attributes["src"].split(",")
        assert kind == "data:image/png;base64"
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert np.array_equal(pixels, image.transpose(1, 2, 0))


def test_curves_hold_the_rows_of_the_history(page, trained):
    rows = rows_of(trained / "history.jsonl")
    charts = {c["id"]: c["series"] for c in json.loads(page.one(id="curves-data").children[0])}
    assert list(charts) == ["loss", "accuracy", "lr", "speed"]
    assert [s["name"] for s in charts["loss"]] == ["training, by step", "training", "validation"]
    validation = charts["loss"][2]
    assert validation["x"] == pytest.approx([row["epochs"] / 8 for row in rows])
    assert validation["text"] == [f"{row['val_loss']:.4f}" for row in rows]
    heights = [1 - y for y in validation["y"]]
    scale = rows[0]["val_loss"] / heights[0]
    assert [h * scale for h in heights] == pytest.approx([r["val_loss"] for r in rows], abs=1e-3)
    assert validation["place"][-1].replace("\u00a0", " ") == "epoch 8 · step 160 · 8.0 s"
    assert charts["lr"][0]["text"][0] == f"{0.02 * (1 + np.cos(np.pi * 4 / 160)) / 2:.4g}"
    numbers = page.one("section", **{"aria-labelledby": "h-curves"}).one("tbody").all("tr")
    assert [row.all("td")[6].text for row in numbers] == validation["text"]


def test_recipe_machine_and_command(page):
    groups = {
        g.all("h3")[0].text if g.all("h3") else "": g.one("dl").text for g in page.all(cls="group")
    }
    assert groups[""] == "name demo seed 0"
    assert groups["data"] == "name cifar10 augment.flip true augment.crop.padding 4 mixup null"
    assert "milestones 91, 136" in groups["schedule"]
    assert yaml.safe_load(page.all("pre")[0].children[0]) == CONFIG
    assert page.one(id="command").text == (
        "paddle-resnet train resnet20 optimizer.lr=0.1 --out 'runs/my run'"
    )
    machine = page.all("dl", "wide")[0].text
    assert "CPU Pretended CPU @ 2.00GHz" in machine
    assert "Memory 7.8 GB" in machine


def test_a_command_given_as_a_list_is_quoted(run_dir):
    change_json(run_dir / "environment.json", command=["paddle-resnet", "train", "a b; rm"])
    assert report_of(run_dir).one(id="command").text == "paddle-resnet train 'a b; rm'"


# ---- Strangers' words ----------------------------------------------------------------------


@pytest.mark.parametrize("classes", [10, 30])
def test_hostile_names_and_values_stay_text(tmp_path, classes):
    folder = make_run(tmp_path / "run", classes, epochs=1)
    result = result_of(folder)
    result["data"]["classes"] = [f"{HOSTILE}{i}" for i in range(classes)]
    result["data"]["name"] = result["model"]["name"] = result["status"] = HOSTILE
    result.update(reason=HOSTILE, status="failed")
    result["training"]["budget"] = {HOSTILE: HOSTILE}
    write_json(folder / "result.json", result)
    config = {HOSTILE: {HOSTILE: [HOSTILE]}, "url": "http://evil.example/x"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    write_json(folder / "environment.json", dict.fromkeys(("command", "commit", HOSTILE), HOSTILE))
    row = {"epochs": 1, "loss": HOSTILE, "val_loss": HOSTILE, "step": HOSTILE, "lr": 0.1}
    write_rows(folder / "history.jsonl", [row])

    harmless = read_page(write_report(make_run(tmp_path / "harmless", classes, epochs=1)))
    page = report_of(folder)
    assert [s.attributes for s in page.all("script")] == [
        s.attributes for s in harmless.all("script")
    ]
    assert page.all("script")[-1].children == harmless.all("script")[-1].children
    assert not [e for e in page.all() if any(a.startswith("on") for a in e.attributes)]
    assert {i.attributes["src"][:5] for i in page.all("img")} == {"data:"}
    assert page.one("h1").text == HOSTILE
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert "<script>alert" not in text
    assert "49" not in page.one("h1").text


def test_halves_of_characters_can_be_written(run_dir):
    change_json(run_dir / "environment.json", cpu="\ud800 cpu")
    assert "? cpu" in write_report(run_dir).read_text(encoding="utf-8")


# ---- Runs that are not whole ---------------------------------------------------------------


def test_the_sample_is_announced_before_any_figure(run_dir):
    result = result_of(run_dir)
    change_json(run_dir / "result.json", data={**result["data"], "is_sample": True})
    page = report_of(run_dir)
    notice = page.one("header").one(cls="sample")
    assert notice.one("h3").text == (
        "Trained on the bundled sample of CIFAR-10: 1,000 images, not the full data set."
    )


def test_an_interrupted_run(run_dir):
    change_json(run_dir / "result.json", status="interrupted", test=None)
    (run_dir / "predictions.npz").unlink()
    page = report_of(run_dir)
    assert page.one(cls="badge").text == "Interrupted"
    notice = page.one(cls="notice").text
    assert notice.startswith("The run was interrupted after 8 passes over the training set.")
    assert "--resume" in notice
    assert cards_of(page)["Test accuracy"] == ("Not tested yet",)
    assert "What is taken for what" not in sections_of(page)
    assert sections_of(page)[-1] == "Not in this report"
    assert "There is no predictions.npz" in page.one("ul", "missing").text


def test_a_failed_run_tells_the_reason_and_where_the_numbers_ended(run_dir):
    rows = rows_of(run_dir / "steps.jsonl")
    for row in rows[20:]:
        row.update(loss=float("nan"), acc_top1=float("nan"))
    write_rows(run_dir / "steps.jsonl", rows)
    reason = "The loss is NaN since step 105. Try a smaller optimizer.lr."
    training = {**result_of(run_dir)["training"], "epochs": 5.2}
    change_json(
        run_dir / "result.json", status="failed", reason=reason, test=None, training=training
    )
    page = report_of(run_dir)
    notice = page.one(cls="notice")
    assert notice.one("h3").text == "The run failed after 5.2 passes over the training set."
    assert notice.one("p").text == reason
    notes = [note.text for note in page.all("p", "note")]
    assert notes == ["Some values are not a number, first at epoch 5.25 · step 105 · 5.2 s."] * 2


def test_a_run_that_failed_before_its_first_step(run_dir):
    training = {"seconds": 8.2, "steps": 0, "images": 0, "epochs": 0.0, "budget": 60.0}
    change_json(run_dir / "result.json", status="failed", reason="r", training=training)
    for name in ("history.jsonl", "steps.jsonl", "predictions.npz"):
        (run_dir / name).unlink()
    page = report_of(run_dir)
    assert page.one(cls="notice").one("h3").text == "The run failed before the training began."
    assert "How it learned" not in sections_of(page)


def test_a_run_that_was_killed(run_dir):
    for name in ("result.json", "predictions.npz"):
        (run_dir / name).unlink()
    with open(run_dir / "history.jsonl", "a") as file:
        file.write('{"epoch": 9, "ep')
    page = report_of(run_dir)
    assert page.one("h1").text == "resnet20"  # from the recipe
    assert page.one(cls="badge").text == "No result yet"
    assert cards_of(page)["Epochs"] == ("8", "160 steps")
    assert "1 line of history.jsonl could not be read" in page.one("ul", "missing").text


def test_a_result_that_is_damaged(run_dir):
    (run_dir / "result.json").write_text("[]")
    page = report_of(run_dir)
    assert page.one(cls="badge").text == "Result unknown"
    assert page.one(cls="notice").one("h3").text == "The file result.json is corrupt."
    assert cards_of(page)["Test accuracy"][0] == "Unknown"
    assert cards_of(page)["Epochs"] == ("8", "160 steps")


@pytest.mark.parametrize(
    "name", ["history.jsonl", "steps.jsonl", "result.json", "environment.json", "config.yaml"]
)
def test_any_file_alone_and_any_file_missing(trained, tmp_path, name):
    alone, without = tmp_path / "alone", tmp_path / "without"
    alone.mkdir()
    shutil.copy(trained / name, alone)
    shutil.copytree(trained, without)
    (without / name).unlink()
    assert report_of(alone).one("h1").text in ("alone", "resnet20")
    assert f"There is no {name}" in report_of(without).one("ul", "missing").text


def test_a_budgeted_run_of_a_tenth_of_an_epoch(tmp_path):
    folder = make_run(tmp_path / "run", epochs=0.1)
    training = {**result_of(folder)["training"], "budget": 300.0}
    change_json(folder / "result.json", training=training)
    page = report_of(folder)
    axis = page.all(cls="x-axis")[0]
    assert [tick.text for tick in axis.all("span")] == [
        "0.00", "0.02", "0.04", "0.06", "0.08", "0.10",
    ]  # fmt: skip
    cards = cards_of(page)
    assert cards["Training time"][1] == "of a budget of 5 min 00 s"
    assert cards["Best validation accuracy"][1].startswith("after round 1,")
    assert "epoch 0.1 · step 2" in page.one(id="curves-data").children[0]


def test_a_hundred_classes_become_a_picture_with_the_same_counts(tmp_path):
    folder = make_run(tmp_path / "run", classes=100, epochs=0.2)
    page = report_of(folder)
    assert page.all("table", "matrix") == []
    heat = json.loads(page.one(id="heat-data").children[0])
    assert len(heat["names"]) == 100
    said = np.load(folder / "predictions.npz")
    counts = np.zeros((100, 100), int)
    for t, p in zip(said["labels"], said["probabilities"].argmax(1)):
        counts[t, p] += 1
    assert {(t, p): n for t, p, n in heat["fields"]} == {
        (int(t), int(p)): int(counts[t, p]) for t, p in np.argwhere(counts)
    }
    (image,) = [i for i in page.all("img") if "data-heat" in i.attributes]
    pixels = Image.open(io.BytesIO(base64.b64decode(image.attributes["src"].split(",")[1])))
    assert np.array_equal(np.asarray(pixels)[..., 3] > 0, counts > 0)


def test_two_classes_and_no_mistake(run_dir):
    labels = np.array([0, 1, 1, 0])
    np.savez(
        run_dir / "predictions.npz",
        labels=labels,
        probabilities=np.eye(2, dtype=np.float16)[labels],
        mistakes=np.zeros(0, np.int64),
        mistake_images=np.zeros((0, 3, 8, 8), np.uint8),
    )
    result = result_of(run_dir)
    test = {**result["test"], "images": 4, "acc_top1": 1.0, "acc_top5": 1.0}
    data = {**result["data"], "classes": 2}
    change_json(run_dir / "result.json", test=test, data=data)
    page = report_of(run_dir)
    assert "Nothing: every image was recognised." in page.one("main").text
    assert "The most confident mistakes" not in sections_of(page)
    assert "Test accuracy, top 5" not in cards_of(page)  # always right with two classes
    assert [th.text for th in page.one("table", "matrix").one("thead").all("th")] == [
        "class 0",
        "class 1",
    ]


def test_guessing_is_called_guessing(run_dir):
    result = result_of(run_dir)
    change_json(run_dir / "result.json", test={**result["test"], "acc_top1": 0.1})
    page = report_of(run_dir)
    assert page.one("p", "headline").text.endswith("no better than guessing.")
    assert "they may be of different weights" in page.one("ul", "missing").text


@pytest.mark.parametrize("value", [None, "x", [], True, float("nan"), -1, 10**30])
def test_results_of_the_wrong_kind(run_dir, value):
    result = result_of(run_dir)
    (run_dir / "predictions.npz").unlink()
    for part in ("model", "data", "training", "best", "test"):
        for wrong in (value, dict.fromkeys(result[part], value)):
            write_json(run_dir / "result.json", {**result, part: wrong})
            render_report(read_run(run_dir))
    row = dict.fromkeys(("epoch", "epochs", "step", "seconds", "lr", "loss", "val_loss"), value)
    for name in ("history.jsonl", "steps.jsonl"):
        write_rows(run_dir / name, [row, {**row, "epochs": 1}, row])
    report_of(run_dir)


def test_more_classes_than_a_matrix_can_show(run_dir):
    probabilities = np.zeros((1, 2001), np.float16)
    probabilities[0, 7] = 1
    np.savez(run_dir / "predictions.npz", labels=np.array([7]), probabilities=probabilities)
    page = report_of(run_dir)
    assert "2,001 classes are too many" in page.one("ul", "missing").text
    assert "Does it know when it is sure?" in sections_of(page)


def test_no_run_no_report(tmp_path):
    with pytest.raises(UserError, match="is not a run"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []
