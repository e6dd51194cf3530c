#!/usr/bin/env bash
# Guess: a `double` of a CWL job reaches the command line as one text, however the job file spells it.
# Seen:  cwltool 3.3.20260925135507 keeps how it was spelt: 1e23 becomes 100000000000000000000000, and the same number
#        as 100000000000000000000000.0 becomes 99999999999999991611392.0, its exact binary value. A `long` of 2^53 + 1 is exact
#        on a command line; through a JavaScript expression, also one that only passes it on, it loses its last digit.
# Matters: caches and steps that compare arguments see two inputs where there is one, and adding an expression anywhere
#        on the way changes values.
source "$(dirname "$0")/common"
python_with cwltool==3.3.20260925135507

cat >"$folder/echo.cwl" <<'CWL'
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [echo, -n]
inputs:
  short: {type: double, inputBinding: {position: 1}}
  long: {type: double, inputBinding: {position: 2}}
  count: {type: long, inputBinding: {position: 3}}
stdout: said
outputs:
  said: {type: stdout}
CWL
cat >"$folder/pass.cwl" <<'CWL'
cwlVersion: v1.2
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {count: long}
outputs: {count: long}
expression: '${return {"count": inputs.count};}'
CWL
echo '{"short": 1e23, "long": 100000000000000000000000.0, "count": 9007199254740993}' >"$folder/job.json"
echo '{"count": 9007199254740993}' >"$folder/count.json"
run() { "$folder/python/bin/cwltool" --quiet --outdir "$folder" "$folder/$1" "$folder/$2" 2>/dev/null; }
expect '100000000000000000000000 99999999999999991611392.0 9007199254740993
{
    "count": 9007199254740992
}' "$(run echo.cwl job.json >/dev/null && cat "$folder/said" && echo && run pass.cwl count.json)"
