using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;

namespace Sluice.Hosting.Docker;

/// <summary>
/// Reads and writes the labels that describe a container's pod, so that a gateway without any stored state can adopt
/// it. The labels contain no values of the environment, because these may be secret and every tool shows labels. (Users
/// with access to the daemon, who effectively are root, can read the environment itself, which includes the pod's
/// token.)
/// </summary>
public static class PodLabels
{
    /// <summary>The host that ordered the container; each gateway has its own.</summary>
    public const string Host = "sluice.host";

    public const string Pod = "sluice.pod";

    private const string EndpointId = "sluice.endpoint";
    private const string Fingerprint = "sluice.fingerprint";
    private const string Epoch = "sluice.epoch";
    private const string Devices = "sluice.devices";
    private const string ShareMiB = "sluice.share-mib";
    private const string Declared = "sluice.declared";

    private static readonly Dictionary<string, string> Nothing = [];

    /// <summary>Returns the labels of an order's container.</summary>
    public static JsonObject Write(PodSpec order, string hostId)
    {
        var template = order.Deployment.Template with { Env = Nothing };
        var endpoint = order.Deployment.Endpoint with { Env = Nothing };
        var declared = new ManifestFile { Templates = [template], Endpoints = [endpoint] };
        var labels = new JsonObject
        {
            [Host] = hostId,
            [Pod] = order.PodId,
            [EndpointId] = endpoint.Id,
            [Fingerprint] = order.Fingerprint,
            [Epoch] = order.Epoch.ToString(CultureInfo.InvariantCulture),
            [Declared] = DeclarationSerializer.Write(declared, DeclarationJson.ManifestFile),
        };
        if (order.Devices is not null) labels[Devices] = string.Join(',', order.Devices);
        if (order.ShareMiB is { } share) labels[ShareMiB] = share.ToString(CultureInfo.InvariantCulture);
        return labels;
    }

    /// <summary>
    /// Returns the order that a container was created for, without its environment. Null if the labels are not
    /// Sluice's, or are of another version.
    /// </summary>
    public static PodSpec? Read(IReadOnlyDictionary<string, string>? labels)
    {
        try
        {
            if (labels is null) return null;
            if (!labels.TryGetValue(Pod, out var pod) || !labels.TryGetValue(Declared, out var declared)) return null;
            var manifest = JsonSerializer.Deserialize(declared, DeclarationJson.ManifestFile);
            if (manifest is not { Templates: [var template], Endpoints: [var endpoint] }) return null;
            var devices = labels.TryGetValue(Devices, out var placed)
                ? placed.Split(',', StringSplitOptions.RemoveEmptyEntries) : null;
            return new PodSpec(new Deployment(endpoint, template), pod, devices)
            {
                Fingerprint = labels.GetValueOrDefault(Fingerprint, ""),
                Epoch = long.TryParse(labels.GetValueOrDefault(Epoch), CultureInfo.InvariantCulture, out var epoch)
                    ? epoch : 0,
                ShareMiB = long.TryParse(
                    labels.GetValueOrDefault(ShareMiB), CultureInfo.InvariantCulture, out var share) ? share : null,
            };
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
