# What src/ROOM/NAME.c needs beside itself, so that test_NAME and fuzz_NAME link.
PARTS_gorilla = src/math/gorilla_plan.c
PARTS_arrivals = src/math/draw.c
PARTS_expression = src/load/expression_compile.c src/load/expression_lex.c src/math/draw.c
PARTS_ratio = src/math/student.c
PARTS_robust = src/math/student.c
PARTS_ranktest = src/math/robust.c src/math/student.c
PARTS_fdr = src/math/robust.c src/math/student.c
PARTS_steady = src/math/robust.c src/math/student.c
PARTS_powerfit = src/math/student.c
PARTS_rankci = src/math/robust.c src/math/student.c
PARTS_verdict = src/math/fdr.c src/math/ranktest.c src/math/robust.c src/math/student.c
PARTS_changepoint = src/math/segments.c src/math/robust.c src/math/student.c
PARTS_trend = src/math/robust.c src/math/student.c
PARTS_capacity = src/math/trend.c src/math/robust.c src/math/student.c
PARTS_season = src/math/fft.c src/math/robust.c src/math/student.c
PARTS_forecast = src/math/forecast_ar.c src/math/forecast_combine.c src/math/forecast_decompose.c \
	src/math/forecast_interval.c src/math/forecast_prepare.c src/math/forecast_simple.c \
	src/math/forecast_smooth.c src/math/season.c $(PARTS_season)
PARTS_route = src/gateway/routes.c
PARTS_request = src/gateway/route.c src/gateway/routes.c src/gateway/members.c src/gateway/statement.c src/gateway/text.c
PARTS_identity = src/gateway/members.c
