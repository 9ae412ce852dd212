// A small shop as it might be: takes orders over HTTP and exposes its metrics by prom-client.
//
//   node --expose-gc app.js FOLDER [openmetrics]
//
// writes the port that it got into FOLDER/port. GET /order takes an order, /order?fail=1 one that
// fails, /gc collects garbage, /metrics shows the metrics.
'use strict';
const fs = require('fs');
const http = require('http');
const path = require('path');
const client = require('prom-client');

const [folder, format] = process.argv.slice(2);
if (format === 'openmetrics')
	client.register.setContentType(client.Registry.OPENMETRICS_CONTENT_TYPE);
client.collectDefaultMetrics();

const orders = new client.Counter({
	name: 'shop_orders_total',
	help: 'Orders by outcome',
	labelNames: ['outcome'],
});
const duration = new client.Histogram({
	name: 'shop_order_duration_seconds',
	help: 'Time to take an order',
	buckets: [0.001, 0.1, 10],
});

const server = http.createServer(async (request, response) => {
	const url = new URL(request.url, 'http://localhost');

	if (url.pathname === '/metrics') {
		response.setHeader('Content-Type', client.register.contentType);
		response.end(await client.register.metrics());
		return;
	}
	if (url.pathname === '/order') {
		const stop = duration.startTimer();
		const fails = url.searchParams.has('fail');

		orders.inc({ outcome: fails ? 'failed' : 'taken' });
		stop();
		response.statusCode = fails ? 500 : 200;
	} else if (url.pathname === '/gc') global.gc();
	else response.statusCode = 404;
	response.end();
});

server.listen(0, '127.0.0.1', () => {
	const file = path.join(folder, 'port');

	fs.writeFileSync(file + '.new', String(server.address().port));
	fs.renameSync(file + '.new', file);
});
