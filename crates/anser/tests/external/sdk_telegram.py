"""Sends, edits and deletes messages with python-telegram-bot, against a stand-in; prints what it says of each.

Standard input: {"base_url", "token", "chats"}: three chats, since one takes a message a second.
"""

import asyncio
import io
import json
import sys

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.error import BadRequest, InvalidToken, RetryAfter

asked = json.load(sys.stdin)
PNG = b"\x89PNG\r\n\x1a\npicture"
# A chat takes one request a second.
WAITS_MAX = 50


def bot_with(token):
    base = asked["base_url"]
    return Bot(token, base_url=f"{base}/bot", base_file_url=f"{base}/file/bot")


async def patiently(call):
    """Keeps to the rate as a bot does: waits for as long as it is told."""
    for _ in range(WAITS_MAX):
        try:
            return await call()
        except RetryAfter as wait:
            seconds = wait.retry_after
            await asyncio.sleep(getattr(seconds, "total_seconds", lambda: seconds)())
    raise AssertionError("it is never let in")


async def main():
    told = {}
    one, two, three = asked["chats"]
    async with bot_with(asked["token"]) as bot:
        told["username"] = bot.username
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("ok", callback_data="k")]])
        text = await bot.send_message(one, "<b>hello</b>", parse_mode="HTML", reply_markup=keyboard)
        assert text.text == "hello" and text.reply_markup == keyboard, text
        photo = await bot.send_photo(two, io.BytesIO(PNG), caption="a picture", filename="p.png")
        document = await bot.send_document(three, io.BytesIO(b"%PDF"), filename="r.pdf")
        told["text"], told["photo"], told["document"] = (str(m.message_id) for m in (text, photo, document))
        told["file_ids"] = [photo.photo[-1].file_id, document.document.file_id]
        assert document.document.file_name == "r.pdf", document
        file = await bot.get_file(photo.photo[-1].file_id)
        assert bytes(await file.download_as_bytearray()) == PNG
        edited = await patiently(lambda: bot.edit_message_text("edited", one, text.message_id))
        assert edited.text == "edited", edited
        assert await patiently(lambda: bot.edit_message_caption(two, photo.message_id, caption="another"))
        assert await patiently(lambda: bot.delete_message(three, document.message_id))
        try:
            await patiently(lambda: bot.edit_message_text("edited", one, text.message_id))
        except BadRequest as error:
            told["unchanged"] = error.message
        assert await bot.get_updates(timeout=0) == ()
    try:
        await bot_with("1:none").initialize()
    except InvalidToken as error:
        told["wrong_token"] = type(error).__name__
    print(json.dumps(told))


asyncio.run(main())
