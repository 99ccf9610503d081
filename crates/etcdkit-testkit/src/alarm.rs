//! Raising alarms, for which clients have no use, but their tests do.

use etcdkit_proto::etcdserverpb::{
    AlarmRequest, AlarmType, StatusRequest, alarm_request::AlarmAction,
    maintenance_client::MaintenanceClient,
};
use tonic::transport::Channel;

/// Has the member at this endpoint raise an alarm about itself, as it does for lack of space.
///
/// # Errors
///
/// When it does not answer, or refuses.
pub async fn raise(
    endpoint: &str,
    alarm: AlarmType,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let channel = Channel::from_shared(endpoint.to_owned())?.connect().await?;
    let mut maintenance = MaintenanceClient::new(channel);
    let status = maintenance.status(StatusRequest {}).await?.into_inner();
    let request = AlarmRequest {
        action: AlarmAction::Activate.into(),
        member_id: status.header.unwrap_or_default().member_id,
        alarm: alarm.into(),
    };
    maintenance.alarm(request).await?;
    Ok(())
}
