using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sluice.Gateway.UserPods;

/// <summary>
/// Translates requests of RunPod's API v2 to the fields of Sluice's pods. Pure. Unknown fields are rejected, as RunPod
/// does (<c>unevaluatedProperties: false</c>); fields of things that Sluice has not are rejected by name.
/// </summary>
internal sealed class RunPodPodRequest
{
    private static readonly string[] Known =
    [
        "name", "image", "args", "disk", "env", "ports", "mounts", "gpu", "cpu", "templateId", "startJupyter",
        "startSsh", "cloud", "dataCenterIds", "globalNetworking", "registry", "locked",
    ];

    private readonly JsonObject body;
    private readonly JsonObject fields = [];
    private readonly bool creates;

    private RunPodPodRequest(JsonObject body, bool creates)
    {
        this.body = body;
        this.creates = creates;
    }

    /// <summary>The fields of Sluice's pod.</summary>
    public JsonObject Fields => fields;

    /// <summary>Whether the pod becomes locked; null: unchanged.</summary>
    public bool? Locked { get; private set; }

    /// <summary>The errors of the request.</summary>
    public List<string> Errors { get; } = [];

    /// <summary>Translates a request.</summary>
    /// <param name="body">The body.</param>
    /// <param name="creates">Whether it creates a pod; otherwise it changes one.</param>
    public static RunPodPodRequest Read(JsonObject body, bool creates)
    {
        var request = new RunPodPodRequest(body, creates);
        request.ReadFields();
        return request;
    }

    private void ReadFields()
    {
        foreach (var (name, value) in body)
            if (!Known.Contains(name)) Fail(name, value, $"a known field ({string.Join(", ", Known)})");
        if (Text("name") is { } name1) fields["name"] = name1;
        else if (creates) Fail("name", null, "a text");
        if (Text("image") is { } image) fields["image"] = image;
        if (Text("templateId") is { } template) fields["template"] = template;
        if (Text("args") is { } args)
        {
            if (ShellWords.Split(args) is { } words)
                fields["args"] = new JsonArray([.. words.Select(w => (JsonNode)w)]);
            else Fail("args", body["args"], "words of a shell, with closed quotes");
        }

        if (Number("disk", 1) is { } disk) fields["disk"] = disk * RunPodPod.Gigabyte;
        if (body["env"] is { } env) fields["env"] = env.DeepClone();
        if (body["ports"] is { } ports) fields["ports"] = ports.DeepClone();
        ReadMounts();
        ReadProcessors();
        ReadFlags();
    }

    private void ReadMounts()
    {
        if (body["mounts"] is not { } mounts) return;
        if (mounts is not JsonObject given)
        {
            Fail("mounts", mounts, "an object");
            return;
        }

        foreach (var (name, value) in given)
        {
            if (name != "persistent")
                Fail($"mounts.{name}", value, "mounts.persistent: this gateway has no network volumes");
            else if (value is JsonObject volume && volume["path"]?.GetValueKind() == JsonValueKind.String
                && volume["size"] is JsonValue size && size.TryGetValue<long>(out var gb))
                fields["volume"] = new JsonObject
                {
                    ["path"] = volume["path"]!.DeepClone(),
                    ["size"] = gb * RunPodPod.Gigabyte,
                };
            else Fail("mounts.persistent", value, "size, a number of GB, and path");
        }
    }

    private void ReadProcessors()
    {
        if (creates && body["gpu"] is null == body["cpu"] is null)
            Errors.Add("gpu, cpu: expected exactly one of them");
        if (body["gpu"] is JsonObject gpu)
        {
            var wanted = new JsonObject();
            foreach (var (name, value) in gpu)
                switch (name)
                {
                    case "id" when value?.GetValueKind() == JsonValueKind.String:
                        wanted["types"] = new JsonArray(value.DeepClone());
                        break;
                    case "count":
                        wanted["count"] = value?.DeepClone();
                        break;
                    // The driver of a version supports all versions before it.
                    case "minCudaVersion" when value?.GetValueKind() == JsonValueKind.String
                        && int.TryParse(value.GetValue<string>().Split('.')[0], NumberStyles.None,
                            CultureInfo.InvariantCulture, out var major):
                        wanted["cuda"] = major;
                        break;
                    case "allowedCudaVersions" when value is JsonArray { Count: 0 }:
                        break;
                    default:
                        Fail($"gpu.{name}", value, "id, count or minCudaVersion");
                        break;
                }
            if (!wanted.ContainsKey("types")) Fail("gpu.id", null, "the name of a GPU type");
            fields["gpu"] = wanted;
        }
        else if (body["gpu"] is { } other) Fail("gpu", other, "an object with id and count");

        if (body["cpu"] is JsonObject cpu)
        {
            if (cpu["id"]?.GetValueKind() != JsonValueKind.String) Fail("cpu.id", cpu["id"], "a text");
            if (cpu["vcpuCount"] is JsonValue count && count.TryGetValue<int>(out var cores) && cores > 0)
                fields["container"] = new JsonObject { ["cpus"] = cores };
            else Fail("cpu.vcpuCount", cpu["vcpuCount"], "a number of cores");
        }
        else if (body["cpu"] is { } other) Fail("cpu", other, "an object with id and vcpuCount");
    }

    private void ReadFlags()
    {
        if (Flag("startJupyter") == true) fields["application"] = "jupyter";
        // Sluice stores no public keys; images read PUBLIC_KEY from env.
        _ = Flag("startSsh");
        if (Flag("locked") is { } locked) Locked = locked;
        if (Flag("globalNetworking") == true)
            Fail("globalNetworking", body["globalNetworking"], "false: this gateway has no global network");
        if (body["cloud"] is { } cloud && Text("cloud") is not ("SECURE" or "COMMUNITY"))
            Fail("cloud", cloud, "SECURE or COMMUNITY");
        if (body["dataCenterIds"] is { } centers and not JsonArray { Count: 0 })
            Fail("dataCenterIds", centers, "an empty list: this gateway has no data centers");
        if (body["registry"] is { } registry)
            Fail("registry", registry, "null: credentials of registries are in SLUICE_DOCKER_CONFIG");
    }

    private string? Text(string name)
    {
        if (body[name] is not { } node) return null;
        if (node is JsonValue value && value.TryGetValue<string>(out var text)) return text;
        Fail(name, node, "a text");
        return null;
    }

    private long? Number(string name, long least)
    {
        if (body[name] is not { } node) return null;
        if (node is JsonValue value && value.TryGetValue<long>(out var number) && number >= least) return number;
        Fail(name, node, $"a number from {least}");
        return null;
    }

    private bool? Flag(string name)
    {
        if (body[name] is not { } node) return null;
        if (node is JsonValue value && value.TryGetValue<bool>(out var flag)) return flag;
        Fail(name, node, "true or false");
        return null;
    }

    private void Fail(string field, JsonNode? value, string expected) =>
        Errors.Add($"{field} is {value?.ToJsonString() ?? "missing"}; expected {expected}");
}
