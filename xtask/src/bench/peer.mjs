// Node's own Socket.IO server doing what the benchmark `live` asks of Anser, with the same frames; users are rooms, too. It keeps
// nothing, stores nothing and waits for no acknowledgement. The first argument is the folder of the packages.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(`${process.argv[2]}/package.json`);
const { Server } = require('socket.io');
const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false });
io.on('connection', (socket) => {
  socket.join(`user:${socket.handshake.auth.user}`);
  socket.on('subscribe', ({ room }, done) => {
    socket.join(`room:${room}`);
    done({ op: 'ok' });
  });
  socket.on('publish', ({ message }, done) => {
    io.to(message.header.to[0]).emit('message', { op: 'message', message });
    done({ op: 'ok' });
  });
  socket.emit('ib', { op: 'ib', kind: 'welcome' });
});
http.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}`));
