"""Sends, answers, changes and takes back messages and files with discord.py, as a bot and by a webhook, against a stand-in;
prints what it says of each.

Standard input: {"base_url", "bot_token", "token", "chats"}: the bot's token, the webhook's id and token, and a person, a
channel and one where the bot may not write.
"""

import asyncio
import io
import json
import sys

import aiohttp
import discord
import discord.http

asked = json.load(sys.stdin)
# The one place where the client has the platform's address.
discord.http.Route.BASE = f"{asked['base_url']}/api/v10"
PNG = b"\x89PNG\r\n\x1a\npicture"


def picture():
    return discord.File(io.BytesIO(PNG), "p.png", description="A pixel")


async def refused(call):
    """The kind of error and the code of a call that must fail."""
    try:
        await call
    except discord.HTTPException as error:
        return [type(error).__name__, error.status, error.code]
    raise AssertionError("it was taken")


async def as_a_bot(told):
    _, channel, closed = (int(chat) for chat in asked["chats"])
    client = discord.Client(intents=discord.Intents.none(), allowed_mentions=discord.AllowedMentions.none())
    async with client:
        await client.login(asked["bot_token"])
        told["user"], told["application"] = str(client.user.id), str(client.application_id)
        place = client.get_partial_messageable(channel)
        text = await place.send("hello @everyone", nonce="once")
        assert not text.mention_everyone and text.nonce == "once", text
        # The client asks for a nonce to be unique: the same message is answered.
        assert (await place.send("hello again", nonce="once")).id == text.id
        reply = await text.reply("answer", mention_author=False)
        assert reply.reference.message_id == text.id, reply.reference
        told["text"], told["reply"] = str(text.id), str(reply.id)
        edited = await text.edit(content="edited")
        assert edited.content == "edited" and edited.edited_at is not None, edited
        embed = discord.Embed(title="T", description="d")
        file = await place.send("see", file=picture(), embed=embed)
        (attachment,) = file.attachments
        assert (attachment.filename, attachment.size, attachment.description) == ("p.png", len(PNG), "A pixel")
        assert await attachment.read() == PNG
        told["file"], told["attachment"] = str(file.id), str(attachment.id)
        more = await file.add_files(discord.File(io.BytesIO(b"more"), "m.txt"))
        assert [shown.filename for shown in more.attachments] == ["p.png", "m.txt"], more.attachments
        assert (await place.fetch_message(file.id)).embeds[0].title == "T"
        await reply.delete()
        told["refused"] = [
            await refused(place.fetch_message(reply.id)),
            await refused(client.get_partial_messageable(9).send("hi")),
            await refused(client.get_partial_messageable(closed).send("hi")),
            await refused(place.send("x" * 2001)),
        ]


async def by_a_webhook(told):
    number, token = asked["token"].split("/")
    async with aiohttp.ClientSession() as session:
        webhook = discord.Webhook.partial(int(number), token, session=session)
        message = await webhook.send("by a webhook", username="Orders", file=picture(), wait=True)
        assert message.author.name == "Orders" and message.attachments[0].size == len(PNG), message
        told["webhook"] = str(message.id)
        edited = await message.edit(content="edited", attachments=[])
        assert edited.content == "edited" and not edited.attachments, edited
        # More than its window takes: the client waits by what the answers tell.
        for place in range(6):
            await webhook.send(f"{place}")
        await message.delete()
        told["gone"] = await refused(webhook.fetch_message(message.id))


async def main():
    told = {}
    await as_a_bot(told)
    await by_a_webhook(told)
    async with discord.Client(intents=discord.Intents.none()) as client:
        try:
            await client.login("wrong")
        except discord.LoginFailure as error:
            told["wrong_token"] = type(error).__name__
    print(json.dumps(told))


asyncio.run(main())
