//! Every way out, and in: one folder per kind of channel, each a pure translation of messages into requests, of answers into
//! outcomes, and of what a platform sends into events. No I/O, clock or randomness here, and no folder imports another; what
//! they share is pulled out into `kit`.

mod dingtalk_app;
mod dingtalk_robot;
mod discord_bot;
mod discord_webhook;
mod email;
mod exec;
mod feishu_app;
mod feishu_robot;
mod http;
mod kit;
mod slack_app;
mod slack_webhook;
mod source;
mod telegram_bot;
mod webhook;
mod wecom_app;
mod wecom_robot;
mod whatsapp_cloud;

use anser_core::channel::ChannelKind;

/// Every kind of channel, in the order in which they are listed. One line per folder.
#[must_use]
pub fn registry() -> Vec<Box<dyn ChannelKind>> {
    vec![
        Box::new(webhook::Webhook),
        Box::new(http::Http),
        Box::new(email::Email),
        Box::new(exec::Exec),
        Box::new(feishu_robot::FeishuRobot),
        Box::new(feishu_app::FeishuApp),
        Box::new(dingtalk_robot::DingTalkRobot),
        Box::new(dingtalk_app::DingTalkApp),
        Box::new(wecom_robot::WeComRobot),
        Box::new(wecom_app::WeComApp),
        Box::new(slack_webhook::SlackWebhook),
        Box::new(slack_app::SlackApp),
        Box::new(discord_webhook::DiscordWebhook),
        Box::new(discord_bot::DiscordBot),
        Box::new(telegram_bot::TelegramBot),
        Box::new(whatsapp_cloud::WhatsAppCloud),
        Box::new(source::WebhookSource),
    ]
}

/// The kind of that name; `None` when there is none.
#[must_use]
pub fn find(kind: &str) -> Option<Box<dyn ChannelKind>> {
    registry()
        .into_iter()
        .find(|candidate| candidate.manifest().kind == kind)
}
