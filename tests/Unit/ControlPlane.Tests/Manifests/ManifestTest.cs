using Sluice.ControlPlane.Manifests;
using Sluice.Domain.Declarations;

namespace Sluice.ControlPlane.Tests.Manifests;

/// <summary>A manifest is read completely, or every error is reported with field, value, rule and line.</summary>
public sealed class ManifestTest
{
    private const string Scaling =
        "templates: [{ name: a }]\nendpoints: [{ id: e, template: a, scaling: ";

    [Fact]
    public void Omitted_fields_have_their_defaults()
    {
        var (file, errors) = Manifest.Parse("""
            templates:
              - name: onnx
            endpoints:
              - id: digits
                template: onnx
                scaling: { max: 2, idleTimeout: 1m30s }
                forwarding: { maxBodyBytes: 2MiB }
            """);

        Assert.Empty(errors);
        var endpoint = Assert.Single(file!.Endpoints);
        Assert.Equal((0, 2, TimeSpan.FromSeconds(90), Scaler.Slo),
            (endpoint.Scaling.Min, endpoint.Scaling.Max, endpoint.Scaling.IdleTimeout, endpoint.Scaling.Scaler));
        Assert.Equal((1000, TimeSpan.FromSeconds(60)), (endpoint.Queue.MaxDepth, endpoint.Queue.Timeout));
        Assert.Equal((2L << 20, 3), (endpoint.Forwarding.MaxBodyBytes, endpoint.Forwarding.MaxAttempts));
        Assert.False(endpoint.Public);
        Assert.Equal(["digits"], endpoint.ServedModels);
        var template = Assert.Single(file.Templates);
        Assert.Equal((8, WorkerProtocol.H2c, "/v2/health/ready"),
            (template.Concurrency, template.Protocol, template.ReadyPath));
        Assert.Empty(template.Command);
    }

    [Fact]
    public void All_values_of_a_wrong_type_are_reported_together()
    {
        var (file, errors) = Manifest.Parse("""
            templates:
              - name: a
                concurrency: many
                protocol: h3
              - name: 5
                stopGrace: soon
            endpoints:
              - { id: e, template: a, scaling: { max: lots, idleTimeout: 5 parsecs } }
            """);
        Assert.Null(file);
        Assert.Equal(["templates[0].concurrency", "templates[0].protocol", "templates[1].name",
            "templates[1].stopGrace",
            "endpoints[0].scaling.max", "endpoints[0].scaling.idleTimeout"], errors.Select(e => e.Field));
        Assert.Equal([3, 4, 5, 6, 8, 8], errors.Select(e => e.Line));
    }

    [Theory]
    [InlineData("templates: []\nendpoints: []\n...\n", true)]
    [InlineData("templates: []\nendpoints: []\n... # the end\n\n", true)]
    [InlineData("templates: []\nendpoints: []\n", false)]
    public void An_end_marker_is_detected(string yaml, bool ends)
    {
        var (file, errors) = Manifest.Parse(yaml);
        Assert.Empty(errors);
        Assert.Equal(ends, file!.EndsWithMarker);
        Assert.Empty(file.Omitted);
    }

    [Theory]
    [InlineData("endpoints:\n  - id: x", "line 2: endpoints[0].template: expected a value (required)")]
    [InlineData("templates:\n  - name: Big", "line 2: templates[0].name is Big; expected 1 to 63 of a-z, 0-9 and '-'")]
    [InlineData("templates:\n  - name: a\n    concurrency: many",
        "line 3: templates[0].concurrency is \"many\"; expected a whole number")]
    [InlineData("templates:\n  - name: a\n    concurrency: 0",
        "line 3: templates[0].concurrency is 0; expected 1 to 10000")]
    [InlineData("templates:\n  - name: a\n    protocol: h3", "line 3: templates[0].protocol is \"h3\"")]
    [InlineData("templates:\n  - name: a\n  - name: a", "templates[1].name is a; expected a unique name")]
    [InlineData("templates:\n  - name: a\n    env: { SLUICE_PORT: 1 }", "templates[0].env.SLUICE_PORT")]
    [InlineData("templates:\n  - name: a\nendpoints:\n  - { id: e, template: a, scaling: { idleTimout: 5s } }",
        "did you mean idleTimeout?")]
    [InlineData("templates:\n  - name: a\nendpoints:\n  - { id: e, template: a, scaling: { idleTimeout: 5 parsecs } }",
        "endpoints[0].scaling.idleTimeout is \"5 parsecs\"")]
    [InlineData("templates:\n  - name: a\nendpoints:\n  - { id: e, template: b }",
        "endpoints[0].template is b; expected the name of a template: a")]
    [InlineData("templates:\nendpoints: []",
        "line 1: templates is null; expected a value (omit the field for its default)")]
    [InlineData("templates:\n  - name:", "templates[0].name is null")]
    [InlineData("templates: [{ name: a, readyPath: // }]",
        "templates[0].readyPath is //; expected a path that starts with one /")]
    [InlineData("templates: [{ name: a, readyPath: //elsewhere/ready }]",
        "templates[0].readyPath is //elsewhere/ready")]
    [InlineData("templates: [{ name: a, keepPrefix: true }]",
        "templates[0].keepPrefix is true; expected false, because the paths of the built-in worker have no prefix")]
    [InlineData("templates: [{ name: a, command: [~] }]", "templates[0].command[0] is null; expected a value")]
    [InlineData("templates: [{ name: a, env: }]", "templates[0].env is null")]
    [InlineData(Scaling + "}]",
        "endpoints[0].scaling is null")]
    [InlineData(Scaling + "{ scaler: MAGIC } }]",
        "endpoints[0].scaling.scaler is \"MAGIC\"; expected one of SLO, REQUEST_COUNT, QUEUE_DELAY, CONCURRENCY")]
    [InlineData(Scaling + "{ pause: maybe } }]",
        "endpoints[0].scaling.pause is \"maybe\"; expected one of NONE, QUEUE, REFUSE")]
    [InlineData(Scaling + "{ targetPercentile: 100 } }]",
        "endpoints[0].scaling.targetPercentile is 100; expected 50 to 99")]
    [InlineData(Scaling + "{ targetWait: 1ms } }]",
        "endpoints[0].scaling.targetWait is 1ms; expected 10ms to 1h")]
    [InlineData(Scaling + "{ panicWindow: 2m } }]",
        "scaling.panicWindow is 2m; expected at most scaling.stableWindow (1m)")]
    [InlineData(Scaling + "{ buffer: 9 } }]",
        "scaling.buffer is 9; expected at most scaling.max (3)")]
    [InlineData(Scaling + "{ schedules: [{ cron: 0 25 * * MON, for: 1h, min: 1 }] } }]",
        "scaling.schedules[0].cron is 0 25 * * MON; expected minute hour")]
    [InlineData(Scaling + "{ schedules: [{ cron: 0 8 13 * FRI, for: 1h, min: 1 }] } }]",
        "scaling.schedules[0].cron is 0 8 13 * FRI; expected * as day of month or as day of week")]
    [InlineData(Scaling + "{ schedules: [{ cron: 0 5 * * MON, timeZone: Mars/Base, for: 1h, min: 1 }] } }]",
        "scaling.schedules[0].timeZone is Mars/Base; expected an IANA time zone")]
    [InlineData(Scaling + "{ schedules: [{ cron: 0 5 * * MON, for: 1h, min: 7 }] } }]",
        "scaling.schedules[0].min is 7; expected at most scaling.max (3)")]
    [InlineData(Scaling + "{ schedules: [{ cron: 0 5 * * MON, min: 1 }] } }]",
        "scaling.schedules[0].for: expected a value (required)")]
    [InlineData("templates: [{ name: a, image: two words }]",
        "templates[0].image is two words; expected an image like repository:tag")]
    [InlineData("templates: [{ name: a, container: { memory: 1MiB } }]",
        "templates[0].container.memory is 1048576; expected 0 (no limit) or at least 6MiB")]
    [InlineData("templates: [{ name: a, container: { cpus: many } }]",
        "templates[0].container.cpus is \"many\"; expected a number")]
    [InlineData("templates: [{ name: a, container: { cpus: -1 } }]",
        "templates[0].container.cpus is -1; expected 0 (no limit) or 0.01 to 1024")]
    [InlineData("templates: [{ name: a, container: { user: 'a b' } }]",
        "templates[0].container.user is a b; expected user or user:group")]
    [InlineData("templates: [{ name: a, container: { port: 0 } }]",
        "templates[0].container.port is 0; expected 1 to 65535")]
    [InlineData("templates: [{ name: a, container: { pull: often } }]",
        "templates[0].container.pull is \"often\"; expected one of missing, always, never")]
    [InlineData("templates: [{ name: a, container: { mounts: [{ source: /a/../b, target: /c }] } }]",
        "templates[0].container.mounts[0].source is /a/../b")]
    [InlineData("templates: [{ name: a, container: { mounts: [{ source: /a }] } }]",
        "templates[0].container.mounts[0].target: expected a value")]
    [InlineData("templates: [{ name: a, container: { privileged: true } }]", "templates[0].container.privileged")]
    [InlineData("endpoints: [~]", "endpoints[0] is null")]
    [InlineData("endpoints: 5", "endpoints is 5")]
    [InlineData("templates: [", "YAML")]
    [InlineData("", "(file) is empty; expected 'templates' and 'endpoints'; to delete all declarations")]
    [InlineData("templates: []\n---\nendpoints: []", "(file) is 2 YAML documents; expected one")]
    [InlineData("omitted: []", "omitted is []; expected a known field")]
    [InlineData("- a\n- b", "an object with fields")]
    public void An_error_contains_field_value_and_rule(string yaml, string expected)
    {
        var (file, errors) = Manifest.Parse(yaml);
        Assert.Null(file);
        Assert.Contains(errors, e => e.ToString().Contains(expected, StringComparison.Ordinal));
    }

    [Fact]
    public void A_container_is_declared_with_sizes_and_mounts()
    {
        var (file, errors) = Manifest.Parse("""
            templates:
              - name: vllm
                image: org/vllm:1
                args: [--port, "{port}"]
                container:
                  { memory: 4GiB, cpus: 1.5, shmSize: 1GiB, user: root, readOnly: false, pull: always,
                    mounts: [{ source: weights, target: /weights }] }
            """);
        Assert.Empty(errors);
        var needs = Assert.Single(file!.Templates).Container;
        Assert.Equal((4L << 30, 1.5, 1L << 30, "root", false, PullPolicy.Always),
            (needs.Memory, needs.Cpus, needs.ShmSize, needs.User, needs.ReadOnly, needs.Pull));
        Assert.Equal(new ContainerMount { Source = "weights", Target = "/weights", ReadOnly = true },
            Assert.Single(needs.Mounts));
    }

    [Fact]
    public void All_errors_are_reported_not_only_the_first()
    {
        var (_, errors) = Manifest.Parse("""
            templates:
              - { name: a, concurrency: 0, readyPath: ready }
            endpoints:
              - { id: models, template: a }
              - { id: b, template: a, scaling: { min: 4, max: 3 } }
            """);
        Assert.Equal(["templates[0].concurrency", "templates[0].readyPath", "endpoints[0].id",
            "endpoints[1].scaling.min"],
            errors.Select(e => e.Field));
    }

    [Fact]
    public void Hostile_yaml_is_an_error_not_a_crash()
    {
        var deep = string.Concat(Enumerable.Repeat("{a: ", 1000)) + "1" + new string('}', 1000);
        Assert.Null(Manifest.Parse(deep).File);
        var laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
            + "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\ntemplates: [*c]";
        Assert.Null(Manifest.Parse(laughs).File);
        Assert.Null(Manifest.Parse(new string('[', 200_000)).File);
        var billions = "a0: &a0 [x]\n" + string.Concat(Enumerable.Range(1, 12).Select(n =>
            $"a{n}: &a{n} [{string.Join(',', Enumerable.Repeat($"*a{n - 1}", 10))}]\n"));
        Assert.Contains("values", Assert.Single(Manifest.Parse(billions).Errors).Value, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("${ACCOUNT}", "012")]
    [InlineData("${EMPTY:-}", "")]
    [InlineData("'${ACCOUNT} ${EMPTY}'", "012 ")]
    [InlineData("007", "007")]
    [InlineData("${NUMBER}", "7")]
    public void The_value_of_a_variable_is_not_changed(string text, string expected)
    {
        var (file, errors) = Parse(text);
        Assert.Empty(errors);
        Assert.Equal(expected, file!.Templates[0].Env["X"]);
    }

    [Theory]
    [InlineData("${SLUICE_ADMIN_KEY}", "does not begin with SLUICE_")]
    [InlineData("${NONE}", "${NONE:-default}")]
    [InlineData("'${NONE:-${secret:x}}'", "${secret:NAME}")]
    public void A_variable_that_is_not_read_is_one_error_of_its_field(string text, string expected)
    {
        var error = Assert.Single(Parse(text).Errors);
        Assert.Equal(("templates[0].env.X", 4), (error.Field, error.Line));
        Assert.Contains(expected, error.Expected, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", error.ToString(), StringComparison.Ordinal);
    }

    private static (ManifestFile? File, IReadOnlyList<FieldError> Errors) Parse(string text)
    {
        var variables = new Dictionary<string, string>
        {
            ["ACCOUNT"] = "012", ["EMPTY"] = "", ["NUMBER"] = "7", ["SLUICE_ADMIN_KEY"] = "s3cret",
        };
        return Manifest.Parse($"templates:\n  - name: a\n    env:\n      X: {text}\n", variables.GetValueOrDefault);
    }
}
