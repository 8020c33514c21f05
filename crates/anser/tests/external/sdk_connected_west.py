"""A bot that is connected to a stand-in by the official clients: slack_sdk's Socket Mode, python-telegram-bot's polling, or
discord.py's Gateway.

Arguments: `slack`, `telegram` or `discord`, the base URL, the bot's token, for Slack the app-level token.
Standard output: a line for each message that it is told of: its text.
"""

import asyncio
import json
import logging
import sys
import threading

logging.disable(logging.CRITICAL)
platform, base_url, token, *more = sys.argv[1:]


def told(text):
    print(json.dumps(text), flush=True)


if platform == "slack":
    from slack_sdk import WebClient
    from slack_sdk.socket_mode import SocketModeClient
    from slack_sdk.socket_mode.response import SocketModeResponse

    web = WebClient(token=token, base_url=f"{base_url}/api/")
    client = SocketModeClient(app_token=more[0], web_client=web)

    def received(client, request):
        told(request.payload["event"]["text"])
        client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    client.socket_mode_request_listeners.append(received)
    client.connect()
    threading.Event().wait()
elif platform == "telegram":
    from telegram.ext import ApplicationBuilder, MessageHandler, filters

    async def received(update, _):
        told(update.message.text)

    builder = ApplicationBuilder().token(token).base_url(f"{base_url}/bot").base_file_url(f"{base_url}/file/bot")
    application = builder.build()
    application.add_handler(MessageHandler(filters.TEXT, received))
    application.run_polling()
else:
    import discord
    import yarl
    from discord.gateway import DiscordWebSocket
    from discord.http import Route

    Route.BASE = f"{base_url}/api/v10"
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"{base_url.replace('http', 'ws', 1)}/gateway")
    intents = discord.Intents.default()
    intents.message_content = True

    class Bot(discord.Client):
        async def on_message(self, message):
            if message.author != self.user:
                told(message.content)

    asyncio.run(Bot(intents=intents).start(token))
