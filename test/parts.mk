# What src/ROOM/NAME.c needs beside itself, so that test_NAME and fuzz_NAME link.
PARTS_gorilla = src/math/gorilla_plan.c
PARTS_arrivals = src/math/draw.c
PARTS_expression = src/math/draw.c
