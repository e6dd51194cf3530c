"""Runs the tests of a folder and says on standard output, in JSON, what came of them.

    python3 check.py FOLDER MODULE...

With the name of a module that has a function `measure`, what it measures is a part of the answer.
"""
import importlib
import json
import sys


def main(folder, names):
    if sys.version_info < (3, 8):
        return {"unchecked": "python3 is older than 3.8"}
    try:
        import hashlib, hmac, sqlite3, unittest  # noqa: E401, F401
    except ImportError as error:
        return {"unchecked": "python3 lacks a part of its library: %s" % error}
    sys.dont_write_bytecode = True
    sys.path.insert(0, folder)
    suite = unittest.TestSuite()
    for name in names:
        importlib.import_module(name)
        suite.addTests(unittest.defaultTestLoader.loadTestsFromName("test_" + name))
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
    failed = [test.id() for test, _ in result.failures + result.errors] + [test.id() for test in result.unexpectedSuccesses]
    report = {"python": "%d.%d.%d" % sys.version_info[:3], "tests": result.testsRun, "failed": failed}
    if not failed:
        for name in names:
            measure = getattr(sys.modules[name], "measure", None)
            if measure is not None:
                report["measurements"] = measure()
    return report


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2:])))
