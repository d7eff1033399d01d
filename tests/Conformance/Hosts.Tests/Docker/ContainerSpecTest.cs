using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Hosting;
using Sluice.Hosting.Docker;

namespace Sluice.Hosts.Tests.Docker;

/// <summary>The create call that the daemon receives.</summary>
public sealed class ContainerSpecTest
{
    private static readonly DockerSettings Settings = new() { Models = "/srv/models" };

    [Fact]
    public void A_pod_requests_exactly_its_gpus_by_uuid()
    {
        const string first = "GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f";
        const string second = "GPU-0a1b2c3d-0000-0000-0000-000000000001";
        var host = Make(Order() with { Devices = [first, second] })["HostConfig"]!;
        var expected = $$"""[{"Driver":"nvidia","DeviceIDs":["{{first}}","{{second}}"],"Capabilities":[["gpu"]]}]""";
        Assert.Equal(expected, host["DeviceRequests"]!.ToJsonString());
    }

    [Fact]
    public void A_mig_slice_is_requested_like_a_gpu_and_is_the_only_visible_device()
    {
        var body = Make(Order() with { Devices = ["MIG-b9a7c5d2-0000-0000-0000-000000000002"] });
        var request = body["HostConfig"]!["DeviceRequests"]![0]!;
        Assert.Equal("""["MIG-b9a7c5d2-0000-0000-0000-000000000002"]""", request["DeviceIDs"]!.ToJsonString());
        Assert.Contains("CUDA_VISIBLE_DEVICES=MIG-b9a7c5d2-0000-0000-0000-000000000002", Environment(body));
        Assert.Equal("sluice-worker-gpu:latest", (string?)body["Image"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_pod_without_devices_requests_none_and_overrides_images_that_use_all(bool placed)
    {
        var body = Make(Order() with { Devices = placed ? [] : null });
        Assert.Null(body["HostConfig"]!["DeviceRequests"]);
        Assert.Contains("NVIDIA_VISIBLE_DEVICES=void", Environment(body));
        Assert.Equal("sluice-worker:latest", (string?)body["Image"]);
    }

    [Fact]
    public void By_default_a_pod_runs_as_an_unprivileged_user_and_can_write_to_tmp_only()
    {
        var body = Make(Order());
        var host = body["HostConfig"]!;
        Assert.Equal("65532:65532", (string?)body["User"]);
        Assert.True((bool)host["ReadonlyRootfs"]!);
        Assert.Equal("""["ALL"]""", host["CapDrop"]!.ToJsonString());
        Assert.Equal("""["no-new-privileges"]""", host["SecurityOpt"]!.ToJsonString());
        Assert.Equal(1024, (int)host["PidsLimit"]!);
        Assert.Null(host["Memory"]);
        var mounts = host["Mounts"]!.ToJsonString();
        Assert.Equal("""[{"Type":"bind","Source":"/srv/models","Target":"/models","ReadOnly":true}]""", mounts);
        Assert.Null(host["PortBindings"]);
    }

    [Fact]
    public void Labels_restore_the_order_without_the_values_of_its_environment()
    {
        var deployment = Order().Deployment;
        var env = new Dictionary<string, string> { ["API_TOKEN"] = "hidden" };
        var order = Order() with
        {
            Deployment = deployment with { Template = deployment.Template with { Env = env } },
            Devices = ["GPU-1"],
            Fingerprint = "f",
            Epoch = 3,
        };
        var labels = Make(order)["Labels"]!.AsObject().ToDictionary(l => l.Key, l => (string)l.Value!);
        Assert.DoesNotContain(labels, l => l.Value.Contains("hidden", StringComparison.Ordinal));

        var back = PodLabels.Read(labels)!;

        Assert.Equal((order.PodId, "f", 3L), (back.PodId, back.Fingerprint, back.Epoch));
        Assert.Equal("GPU-1", Assert.Single(back.Devices!));
        Assert.Equal(order.Deployment.Template.StopGrace, back.Deployment.Template.StopGrace);
        Assert.Equal("e", back.Deployment.Endpoint.Id);
        Assert.Null(PodLabels.Read(new Dictionary<string, string> { ["sluice.pod"] = "p", ["sluice.declared"] = "{" }));
    }

    [Fact]
    public void A_command_replaces_the_entrypoint_and_args_replace_the_arguments_of_the_image()
    {
        var template = Order().Deployment.Template;
        var both = Make(With(template with { Command = ["serve", "--port={port}"], Args = ["-v"] }));
        Assert.Equal("""["serve","--port=8000"]""", both["Entrypoint"]!.ToJsonString());
        Assert.Equal("""["-v"]""", both["Cmd"]!.ToJsonString());
        Assert.Null(Make(With(template with { Args = ["-v"] }))["Entrypoint"]);
    }

    [Theory]
    [InlineData("/data", "/data", true)]
    [InlineData("/data/", "/data", true)]
    [InlineData("/data", "/data/", true)]
    [InlineData("/data", "/data/set", false)]
    [InlineData("/data", "/data/.", false)]
    [InlineData("/data", "/database", false)]
    [InlineData("/data", "/data/../etc", false)]
    [InlineData("weights", "weights", true)]
    [InlineData("weights", "weights2", false)]
    public void Only_allowed_sources_are_mounted_and_no_subfolders(string allowed, string source, bool holds)
    {
        var template = Order().Deployment.Template;
        var needs = new ContainerRequirements { Mounts = [new ContainerMount { Source = source, Target = "/in" }] };
        var order = With(template with { Container = needs });
        var settings = Settings with { Mountable = [allowed] };
        JsonObject Made() => ContainerSpec.Build(order, settings, "h", "t");
        if (holds) Assert.Equal(2, Made()["HostConfig"]!["Mounts"]!.AsArray().Count);
        else
        {
            var e = Assert.Throws<InvalidOperationException>(Made);
            Assert.Contains("SLUICE_DOCKER_MOUNTS", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Volumes_of_an_image_are_a_tmpfs_of_limited_size_unless_something_else_is_mounted()
    {
        var template = Order().Deployment.Template;
        var needs = new ContainerRequirements { Mounts = [new ContainerMount { Source = "/w", Target = "/weights" }] };
        var order = With(template with { Container = needs });
        var body = ContainerSpec.Build(order, Settings with { Mountable = ["/w"] }, "h", "t");
        ContainerSpec.MountTmpfsAtVolumes(body, ["/weights/", "/tmp", "/models", "/var/lib/data"], 1 << 20);
        var mounts = body["HostConfig"]!["Mounts"]!.AsArray();
        Assert.Equal("""{"Type":"tmpfs","Target":"/var/lib/data","TmpfsOptions":{"SizeBytes":1048576,"Mode":1023}}""",
            mounts.Single(m => (string?)m!["Type"] == "tmpfs")!.ToJsonString());
    }

    [Fact]
    public void Only_the_built_in_worker_can_write_to_the_cache_that_all_its_pods_share()
    {
        var template = Order().Deployment.Template;
        bool Writes(Template t) => ContainerSpec.Build(With(t), Settings with { Cache = "/srv/cache" }, "h", "t")
            .ToJsonString().Contains("/cache", StringComparison.Ordinal);
        Assert.True(Writes(template));
        Assert.True(Writes(template with { Args = ["-v"] }));
        Assert.False(Writes(template with { Command = ["/bin/sh"] }));
        Assert.False(Writes(template with { Image = "vllm:1" }));
    }

    [Fact]
    public void Only_the_built_in_worker_gets_the_variables_of_telemetry_and_its_template_takes_precedence()
    {
        var template = Order().Deployment.Template;
        var read = DockerSettingsReader.Read(n => n switch
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => "http://collector:4317",
            "OTEL_EXPORTER_OTLP_HEADERS" => "key=secret",
            "OTEL_SERVICE_NAME" => "gateway",
            _ => null,
        });
        string[] Variables(Template t) =>
            [.. ContainerSpec.Build(With(t), read, "h", "t")["Env"]!.AsArray().Select(v => (string)v!)
                .Where(v => v.StartsWith("OTEL_", StringComparison.Ordinal)).Order()];
        Assert.Equal(
            ["OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4317", "OTEL_EXPORTER_OTLP_HEADERS=key=secret"],
            Variables(template));
        Assert.Equal(
            ["OTEL_EXPORTER_OTLP_ENDPOINT=http://other:4317", "OTEL_EXPORTER_OTLP_HEADERS=key=secret"],
            Variables(template with
            {
                Env = new Dictionary<string, string> { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://other:4317" },
            }));
        Assert.Empty(Variables(template with { Image = "vllm:1" }));
        Assert.Empty(Variables(template with { Command = ["/bin/sh"] }));
    }

    private static PodSpec Order() =>
        new(new Deployment(new Endpoint { Id = "e", Template = "t" }, new Template { Name = "t" }), "e-1");

    private static PodSpec With(Template template) =>
        Order() with { Deployment = Order().Deployment with { Template = template } };

    private static JsonObject Make(PodSpec order) => ContainerSpec.Build(order, Settings, "host-1", "token-1");

    private static List<string> Environment(JsonObject body) => [.. body["Env"]!.AsArray().Select(e => (string)e!)];
}
