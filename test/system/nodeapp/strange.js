// An HTTP server that serves what a test wants to see perfopt deal with.
//
//   node strange.js FOLDER
//
// writes the port that it got into FOLDER/port. GET /NAME serves the file FOLDER/NAME as it is at that
// moment, one whose name ends in .om as OpenMetrics; /hang never answers, /stall begins to, and /flood
// sends 100 MB of samples.
'use strict';
const fs = require('fs');
const http = require('http');
const path = require('path');

const [folder] = process.argv.slice(2);
const FLOOD_BYTES = 100 * 1024 * 1024;

function flood(response) {
	const block = Buffer.from('flood_total{color="blue"} 1\n'.repeat(2000));
	let sent = 0;

	function more() {
		while (sent < FLOOD_BYTES) {
			sent += block.length;
			if (!response.write(block)) {
				response.once('drain', more);
				return;
			}
		}
		response.end();
	}
	more();
}

const server = http.createServer((request, response) => {
	const name = path.basename(request.url);

	if (name === 'hang') return;
	if (name === 'stall') {
		response.write('stalled 1\n');
		return;
	}
	if (name === 'flood') {
		flood(response);
		return;
	}
	fs.readFile(path.join(folder, name), (error, text) => {
		if (error) {
			response.statusCode = 404;
			response.end();
			return;
		}
		response.setHeader('Content-Type', name.endsWith('.om')
			? 'application/openmetrics-text; version=1.0.0; charset=utf-8'
			: 'text/plain; version=0.0.4; charset=utf-8');
		response.end(text);
	});
});

server.listen(0, '127.0.0.1', () => {
	const file = path.join(folder, 'port');

	fs.writeFileSync(file + '.new', String(server.address().port));
	fs.renameSync(file + '.new', file);
});
