"""Counts the test cases in meson's JSON test logs; prints each failure and, last, "N passed, N failed".

usage: tally.py LOG.json ...

A program that speaks TAP ("1..N", "ok", "not ok") counts by its cases, any other as one case by its exit status. A program
that failed without saying "not ok" (a crash, a sanitizer's report, a time-out) adds one failed case of its own. Notes ("# ...") stand
after their case (cmocka) or before it (our scripts), so a failed case is printed with those on both sides. What went to standard
error, cmocka's sentences among it, follows the program's last failure."""
import json
import pathlib
import re
import sys

PLAN = re.compile(r"^1\.\.(\d+)")
CASE = re.compile(r"^(not ok|ok)\b\s*\d*\s*-?\s*(.*)")
SKIP = re.compile(r"#\s*skip", re.I)


def cases(test):
    """(passed, skipped, [failure, ...]) of one program's run."""
    name, result = test["name"], test["result"]
    if result == "SKIP":
        return 0, 1, []
    passed, skipped, planned, failures, notes, broken = 0, 0, 0, [], "", False
    for line in test.get("stdout", "").splitlines():
        plan, case = PLAN.match(line), CASE.match(line)
        if plan:
            planned += int(plan[1])
        elif case:
            broken = case[1] != "ok" and not SKIP.search(line)
            if SKIP.search(line):
                skipped += 1
            elif broken:
                failures.append(f"{name}: {case[2]}{notes}")
            else:
                passed += 1
            notes = ""
        elif line.startswith(("#", "ERROR: ")) and not line.startswith(("# ok", "# not ok")):
            note = "\n    " + line.removeprefix("#").strip()
            notes += note
            if broken:
                failures[-1] += note
    if failures:
        failures[-1] += "".join("\n    " + line for line in test.get("stderr", "").strip().splitlines()[-20:])
    if result == "OK":
        missing = planned - passed - skipped - len(failures)
        if missing > 0:
            failures.append(f"{name}: {missing} planned cases did not run")
        return (passed, skipped, failures) if planned else (1, 0, failures)
    if not failures:
        tail = (test.get("stdout", "") + "\n" + test.get("stderr", "")).strip().splitlines()[-40:]
        failures.append(f"{name}: {result.lower()} (exit status {test.get('returncode')})\n    " + "\n    ".join(tail))
    return passed, skipped, failures


def main():
    passed = skipped = failed = 0
    for log in map(pathlib.Path, sys.argv[1:]):
        try:
            tests = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        except OSError:
            tests = []
        if not tests:
            print(f"FAIL {log}: no test ran")
            failed += 1
        for test in tests:
            good, skips, failures = cases(test)
            passed, skipped, failed = passed + good, skipped + skips, failed + len(failures)
            for failure in failures:
                print(f"FAIL {log.stem}/{failure}")
    if skipped:
        print(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


main()
