using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Sluice.Domain.Fleet;
using Sluice.Domain.Gpus;
using Sluice.Domain.Scaling;
using Sluice.Gateway.Jobs;
using Sluice.Gateway.Management;
using Sluice.Storage.Jobs;
using Sluice.Storage.Keys;

namespace Sluice.Gateway.Tests.Api;

/// <summary>The generated serializers write the responses that clients know.</summary>
public sealed class ResponseSerializersTest
{
    private static readonly DateTimeOffset Time = new(2026, 11, 29, 7, 30, 5, 250, TimeSpan.Zero);

    /// <summary>The options of ASP.NET Core for JSON responses.</summary>
    private static readonly JsonSerializerOptions Reflection = Options(new DefaultJsonTypeInfoResolver());

    private static readonly JsonSerializerOptions Generated = Options(ManagementJson.Default);

    private static readonly StartTrouble Trouble = new(3, "exit code 1: \"no <model>\" 'é'", Time);

    private static readonly RolloutView Rollout = new(1, 2, 0, 3, null, null);

    public static TheoryData<object> Responses =>
    [
        new KeysApi.KeyList([KeysApi.KeyView.From(new ApiKey
        {
            Id = "k1",
            Name = "a \"name\" with <>&'é",
            Hash = [1, 2],
            Last4 = "wxyz",
            Scope = new KeyScope { Invoke = ["a", "*"] },
            CreatedAt = Time,
        }, null)], null),
        new KeysApi.NewKey("text", new KeysApi.KeyView("k", "", "abcd", new KeyScope { Admin = true },
            new Dictionary<string, string> { ["a"] = "b" }, Time, Time, Time,
            new KeyLimits { RequestsPerMinute = 5, Weight = 0.25 })),
        new EndpointStatus(new Dictionary<string, int> { ["ready"] = 1, ["Odd Name"] = 2 }, 1, 2, 3, null, Trouble,
            Rollout),
        new EndpointStatus(new Dictionary<string, int>(), 0, 0, 0, "paused", null, null)
        {
            NoCapacity = new MissingCapacity(1, true, "model", "no H100"),
        },
        new CatalogApi.WorkerList([new CatalogApi.WorkerView("w", "ready", "", "host", 7, "", ["GPU-1"], 1024, Time,
            null, [new StartStage("spawn", 1.5)], new WorkerSlots("w", 2, 1, 1, false), ["line <1>"])
            { Outdated = true, Download = new ModelTransfer("s3://b", null, 1, null) }], 1, 2.25, new BlockedStart("r", DateTimeOffset.MaxValue, true), null,
            [new ScalingDecisionRecord(Time, default, 1, 2, 1, 0, 0, "queue", "because",
                new DecisionInputs(1, 0.5, 1, 9, 1, 0, 2, 0.25, null, 1.5, 60), []) { Trouble = Trouble }])
            { Rollout = Rollout },
        new CatalogApi.ManifestView(null, Time, ["e"]),
        new GpusApi.GpuList("host", "nvidia-smi", Time, null, [new GpusApi.GpuView(0, "GPU-1", "NVIDIA H100", "H100",
            "", 81559, null, 0, "9.0", ["fp16"], "580", ComputeMode.ExclusiveProcess, ConfidentialState.Ready,
            new NvLinks(18, 26.562), null, [], [new GpusApi.UserView("w", "e", null)])],
            [new GpusApi.LinkView("", 0, 1, "NV18")], [],
            [new GpusApi.NodeView("a", "host", "process", true, 8, 2, 1, null)]),
        new GpusApi.KindList(GpuModelCatalog.Models, GpuModelCatalog.Pools),
        new GpusApi.TrialAnswer([new GpusApi.TrialView("e", [], null, "a", null)]),
        new HostsApi.HostList([new HostsApi.HostView("h", Time, JsonElement.Parse("""{"a":[1, 2.50]}"""))],
            new HostsApi.DataSchema(2, 3, 2, 3, [new HostsApi.GatewayVersions("h", 2, 3)])),
        new WebhooksApi.DeliveryList([new WebhookDelivery("d", "j", "https://x", "FAILED", "pending", 1, Time, null,
            [new WebhookNote(Time, "503")])], 0, 100),
        new AdminApi.CheckResult(true, [new InvariantReport("e", 1, 2, 0, [])]),
    ];

    [Theory]
    [MemberData(nameof(Responses), DisableDiscoveryEnumeration = true)]
    public void A_generated_serializer_writes_the_text_of_the_reflection_serializer(object response) =>
        Assert.Equal(
            JsonSerializer.Serialize(response, response.GetType(), Reflection),
            JsonSerializer.Serialize(response, response.GetType(), Generated));

    [Fact]
    public void Responses_of_the_jobs_API_have_the_fields_of_RunPod_in_its_order()
    {
        var json = JobResponseJson.Relaxed;
        AssertText("""{"id":"j1","status":"CANCELLED"}""", new JobState("j1", "CANCELLED"), json.JobState);
        AssertText("""{"removed":3,"status":"completed"}""", new PurgeResult(3), json.PurgeResult);
        var jobs = new JobCountsByState(1, 2, 3, 4, 5, 6, 7);
        var workers = new WorkersByState(1, 2, 3, 4, 5, 6);
        const string counts = """
            "jobs":{"completed":1,"failed":2,"inProgress":3,"inQueue":4,"retried":5,"cancelled":6,"timedOut":7},
            "workers":{"idle":1,"initializing":2,"ready":3,"running":4,"throttled":5,"unhealthy":6}
            """;
        var text = counts.ReplaceLineEndings("");
        AssertText($"{{{text}}}", new JobHealth(jobs, workers, null), json.JobHealth);
        const string capacity = """{"reason":"NO_GPU","detail":"a 'b' <é>","since":"2026-11-29T07:30:05.25+00:00"}""";
        AssertText($"{{{text},\"capacity\":{capacity}}}",
            new JobHealth(jobs, workers, new CapacityShortage("NO_GPU", "a 'b' <é>", Time)), json.JobHealth);
        AssertText("""{"status":"FAILED","code":"C","message":"it's \"é\"","retryable":false}""",
            new StreamError("FAILED", "C", "it's \"é\"", false), json.StreamError);
    }

    private static void AssertText<T>(string expected, T value, JsonTypeInfo<T> type) =>
        Assert.Equal(expected, Encoding.UTF8.GetString(JsonSerializer.SerializeToUtf8Bytes(value, type)));

    private static JsonSerializerOptions Options(IJsonTypeInfoResolver resolver) => new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        TypeInfoResolver = resolver,
    };
}
