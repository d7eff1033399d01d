using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Core.Endpoints;

namespace Sluice.Core.Workers.Docker;

/// <summary>
/// What a container tells of its pod, so that a gateway that remembers nothing can take it over. No values of its environment: these may be
/// secret, and labels are shown by every tool. (The environment itself, the pod's token included, is seen by whoever may use the daemon, who is root.)
/// </summary>
public static class PodLabels
{
    /// <summary>The host that ordered it; each gateway has one.</summary>
    public const string Host = "sluice.host";

    public const string Pod = "sluice.pod";

    private const string EndpointId = "sluice.endpoint";
    private const string Fingerprint = "sluice.fingerprint";
    private const string Epoch = "sluice.epoch";
    private const string Devices = "sluice.devices";
    private const string ShareMiB = "sluice.share-mib";
    private const string Declared = "sluice.declared";

    private static readonly Dictionary<string, string> Nothing = [];

    public static JsonObject Write(PodOrder order, string hostId)
    {
        var (template, endpoint) = (order.Deployment.Template with { Env = Nothing }, order.Deployment.Endpoint with { Env = Nothing });
        var labels = new JsonObject
        {
            [Host] = hostId,
            [Pod] = order.PodId,
            [EndpointId] = endpoint.Id,
            [Fingerprint] = order.Fingerprint,
            [Epoch] = order.Epoch.ToString(CultureInfo.InvariantCulture),
            [Declared] = Declarations.Write(new ManifestFile { Templates = [template], Endpoints = [endpoint] }, DeclarationJson.ManifestFile),
        };
        if (order.Devices is not null) labels[Devices] = string.Join(',', order.Devices);
        if (order.ShareMiB is { } share) labels[ShareMiB] = share.ToString(CultureInfo.InvariantCulture);
        return labels;
    }

    /// <summary>The order that a container was made from, without its environment; null when the labels are not ours, or of another version.</summary>
    public static PodOrder? Read(IReadOnlyDictionary<string, string>? labels)
    {
        try
        {
            if (labels is null || !labels.TryGetValue(Pod, out var pod) || !labels.TryGetValue(Declared, out var declared)) return null;
            if (JsonSerializer.Deserialize(declared, DeclarationJson.ManifestFile) is not { Templates: [var template], Endpoints: [var endpoint] }) return null;
            var devices = labels.TryGetValue(Devices, out var placed) ? placed.Split(',', StringSplitOptions.RemoveEmptyEntries) : null;
            return new PodOrder(new Deployment(endpoint, template), pod, devices)
            {
                Fingerprint = labels.GetValueOrDefault(Fingerprint, ""),
                Epoch = long.TryParse(labels.GetValueOrDefault(Epoch), CultureInfo.InvariantCulture, out var epoch) ? epoch : 0,
                ShareMiB = long.TryParse(labels.GetValueOrDefault(ShareMiB), CultureInfo.InvariantCulture, out var share) ? share : null,
            };
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
