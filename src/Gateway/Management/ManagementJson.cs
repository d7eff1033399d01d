using System.Text.Json;
using System.Text.Json.Serialization;
using Sluice.Domain.Scaling;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Fleet;

namespace Sluice.Gateway.Management;

/// <summary>
/// The generated serializers of the responses of the management API. Templates and endpoints are not among them: their
/// form is <see cref="Sluice.Domain.Declarations.DeclarationJson"/>.
/// </summary>
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
[JsonSerializable(typeof(KeysApi.KeyList))]
[JsonSerializable(typeof(KeysApi.KeyView))]
[JsonSerializable(typeof(KeysApi.NewKey))]
[JsonSerializable(typeof(KeysApi.OwnKey))]
[JsonSerializable(typeof(SocketTicket))]
[JsonSerializable(typeof(SessionsApi.SessionView))]
[JsonSerializable(typeof(EndpointStatus))]
[JsonSerializable(typeof(CatalogApi.WorkerList))]
[JsonSerializable(typeof(CatalogApi.DeletedEndpoint))]
[JsonSerializable(typeof(CatalogApi.ManifestView))]
[JsonSerializable(typeof(DeclarationEditor.RevisionList))]
[JsonSerializable(typeof(DeclarationsApi.ManifestRequest))]
[JsonSerializable(typeof(DeclarationsApi.AppliedManifest))]
[JsonSerializable(typeof(Decisions))]
[JsonSerializable(typeof(HostsApi.HostList))]
[JsonSerializable(typeof(GpusApi.GpuList))]
[JsonSerializable(typeof(GpusApi.KindList))]
[JsonSerializable(typeof(GpusApi.TrialAnswer))]
[JsonSerializable(typeof(WebhooksApi.DeliveryList))]
[JsonSerializable(typeof(WebhooksApi.Secrets))]
[JsonSerializable(typeof(WorkerLogsApi.WorkerLogList))]
[JsonSerializable(typeof(WorkerLogsApi.WorkerLogView))]
[JsonSerializable(typeof(WorkerLogLine))]
[JsonSerializable(typeof(AdminApi.CheckResult))]
internal sealed partial class ManagementJson : JsonSerializerContext;
