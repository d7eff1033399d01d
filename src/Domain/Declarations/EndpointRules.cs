using System.Globalization;
using System.Text.RegularExpressions;
using Sluice.Domain.Notation;

namespace Sluice.Domain.Declarations;

/// <summary>Validates declarations. Pure. It reports every error with the field, the value and the rule.</summary>
public static partial class EndpointRules
{
    /// <summary>
    /// Reserved ids: segments of the routes below <c>/v2</c>, of the Open Inference Protocol and of RunPod's API.
    /// </summary>
    private static readonly string[] Reserved =
    [
        "models", "health", "repository", "logging", "trace",
        "pods", "serverless", "templates", "network-volumes", "registries", "catalog", "billing", "clusters", "account",
    ];

    private static readonly TimeSpan Day = TimeSpan.FromDays(1);
    private static readonly TimeSpan Week = TimeSpan.FromDays(7);

    /// <summary>Whether a text is a valid id of an endpoint or name of a template.</summary>
    public static bool IsId(string id) => Id().IsMatch(id);

    /// <summary>Validates a template.</summary>
    /// <param name="t">The template.</param>
    /// <param name="path">The path of the template in its document; empty for the document itself.</param>
    public static List<FieldError> Check(Template t, string path)
    {
        var check = new Checker(path);
        check.That(IsId(t.Name), "name", t.Name, IdForm);
        check.Range("concurrency", t.Concurrency, 1, 10_000);
        // As in TokenCapacity.MaxTokens.
        check.Range("cacheTokens", t.CacheTokens, 0, 1L << 40);
        check.That(IsLocalPath(t.ReadyPath), "readyPath", t.ReadyPath, "a path that starts with one /");
        check.That(t.HandlerPath.StartsWith('/'), "handlerPath", t.HandlerPath, "a path that starts with /");
        check.Range("startTimeout", t.StartTimeout, TimeSpan.FromMilliseconds(100), Day);
        check.Range("stopGrace", t.StopGrace, TimeSpan.Zero, TimeSpan.FromHours(1));
        check.That(t.Command.All(c => c.Length > 0), "command", "\"\"", "program and arguments, none of them empty");
        check.That(t.Args.All(a => a.Length > 0), "args", "\"\"", "arguments, none of them empty");
        check.That(t.Image.Length == 0 || ImageName.IsImage(t.Image), "image", t.Image,
            "an image like repository:tag or registry/repository@sha256:...");
        check.That(!t.KeepPrefix || !t.IsBuiltIn, "keepPrefix", "true",
            "false, because the paths of the built-in worker have no prefix");
        check.Env(t.Env);
        Check(t.Container, check);
        if (t.Gpu is { } gpu) GpuRules.Check(gpu, check);
        if (t.Kubernetes is { } kubernetes) KubernetesRules.Check(check, t, kubernetes);
        if (t.Pod is { } pod) PodRules.Check(pod, check, "pod.");
        return check.Errors;
    }

    /// <summary>Validates the container of a template or pod.</summary>
    /// <param name="c">The container.</param>
    /// <param name="check">Receives the errors.</param>
    /// <param name="canBeOfImage">Whether an empty user, which is that of the image, is valid.</param>
    internal static void Check(ContainerRequirements c, Checker check, bool canBeOfImage = false)
    {
        check.Range("container.port", c.Port, 1, 65535);
        check.That(c.Memory is 0 or >= 6 << 20, "container.memory", $"{c.Memory}",
            "0 (no limit) or at least 6MiB, the minimum of Docker");
        check.That(c.Cpus is 0 or >= 0.01 and <= 1024, "container.cpus", c.Cpus.ToString(CultureInfo.InvariantCulture),
            "0 (no limit) or 0.01 to 1024");
        check.Range("container.pids", c.Pids, 4, 1 << 22);
        check.That(User().IsMatch(c.User) || (canBeOfImage && c.User.Length == 0), "container.user",
            c.User, "user or user:group, by number or name");
        check.Range("container.tmpSize", c.TmpSize, 1 << 20, 1L << 40);
        check.Range("container.shmSize", c.ShmSize, 1 << 20, 1L << 40);
        for (var i = 0; i < c.Mounts.Count; i++)
        {
            var (source, target) = (c.Mounts[i].Source, c.Mounts[i].Target);
            check.That(IsFolder(source) || Volume().IsMatch(source), $"container.mounts[{i}].source", source,
                "an absolute path without '..', or the name of a volume");
            check.That(IsFolder(target) && target != "/", $"container.mounts[{i}].target", target,
                "an absolute path without '..', except /");
        }
    }

    /// <summary>
    /// Whether a path, appended to the address of a worker, refers to that worker. "//other/path" refers to another
    /// machine.
    /// </summary>
    private static bool IsLocalPath(string path) => path.StartsWith('/')
        && Uri.TryCreate(new Uri("http://worker"), path, out var uri) && uri.Authority == "worker";

    private static bool IsFolder(string path) => path.StartsWith('/') && !path.Split('/').Contains("..");

    /// <summary>Validates an endpoint.</summary>
    /// <param name="e">The endpoint.</param>
    /// <param name="path">The path of the endpoint in its document; empty for the document itself.</param>
    /// <param name="templates">The names of all templates.</param>
    /// <param name="others">The other endpoints, whose models must differ.</param>
    /// <param name="all">All endpoints that are declared together with it; null: <paramref name="others"/>.</param>
    public static List<FieldError> Check(Endpoint e, string path, IReadOnlyCollection<string> templates,
        IReadOnlyCollection<Endpoint> others, IReadOnlyCollection<Endpoint>? all = null)
    {
        var check = new Checker(path);
        check.That(IsId(e.Id), "id", e.Id, IdForm);
        check.That(!Reserved.Contains(e.Id), "id", e.Id, $"an id that is not reserved ({string.Join(", ", Reserved)})");
        check.That(templates.Contains(e.Template), "template", e.Template, templates.Count == 0
            ? "the name of a template (no template is declared)"
            : $"the name of a template: {string.Join(", ", templates.Order())}");
        foreach (var model in e.ServedModels)
        {
            check.That(Model().IsMatch(model), "models", model, "letters, digits, '.', '_' and '-', at most 128");
            if (others.FirstOrDefault(o => o.Id != e.Id && o.ServedModels.Contains(model)
                && !CanaryRules.ShareModels(o, e)) is { } other)
                check.Add("models", model, $"a model that no other endpoint serves (endpoint {other.Id} serves it)");
        }

        check.Env(e.Env);
        ScaleRules.Check(check, e.Scaling);
        check.Range("queue.maxDepth", e.Queue.MaxDepth, 0, 1_000_000);
        check.Range("queue.timeout", e.Queue.Timeout, TimeSpan.FromMilliseconds(1), Day);
        if (e.Queue.KeepAlive != TimeSpan.Zero)
            check.Range("queue.keepAlive", e.Queue.KeepAlive, TimeSpan.FromSeconds(1), Day);
        check.Range("forwarding.activityTimeout", e.Forwarding.ActivityTimeout, TimeSpan.FromMilliseconds(100), Day);
        check.Range("forwarding.executionTimeout", e.Forwarding.ExecutionTimeout, TimeSpan.FromMilliseconds(100), Week);
        check.Range("forwarding.maxBodyBytes", e.Forwarding.MaxBodyBytes, 1, 16L << 30);
        check.Range("forwarding.replayBytes", e.Forwarding.ReplayBytes, 0, 1 << 30);
        check.Range("forwarding.maxAttempts", e.Forwarding.MaxAttempts, 1, 10);
        check.Range("jobs.maxQueued", e.Jobs.MaxQueued, 0, 10_000_000);
        check.Range("jobs.maxBytes", e.Jobs.MaxBytes, 1 << 20, 1L << 40);
        check.Range("jobs.maxKeyBytes", e.Jobs.MaxKeyBytes, 1 << 20, 1L << 40);
        check.Range("jobs.maxRuns", e.Jobs.MaxRuns, 1, 100);
        check.Range("jobs.ttl", e.Jobs.Ttl, TimeSpan.FromSeconds(1), Week);
        check.Range("jobs.retention", e.Jobs.Retention, TimeSpan.FromSeconds(1), 30 * Day);
        check.Range("jobs.maxInputBytes", e.Jobs.MaxInputBytes, 1, 1L << 30);
        check.Range("jobs.maxOutputBytes", e.Jobs.MaxOutputBytes, 1, 1L << 30);
        check.Range("jobs.maxStreamBytes", e.Jobs.MaxStreamBytes, 1, 256L << 20);
        check.Range("placement.priority", e.Placement.Priority, -1000, 1000);
        check.Range("placement.weight", e.Placement.Weight, 1, 1000);
        if (e.Cors is { } cors) Check(cors, check);
        if (e.Canary is { } canary) CanaryRules.Check(check, e, canary, all ?? others);
        if (e.Model is { } delivered) ModelRules.Check(check, e, delivered);
        return check.Errors;
    }

    private static void Check(CorsPolicy cors, Checker check)
    {
        for (var i = 0; i < cors.Origins.Count; i++)
            check.That(CorsPolicy.IsOrigin(cors.Origins[i]), $"cors.origins[{i}]", cors.Origins[i], OriginForm);
        for (var i = 0; i < cors.Headers.Count; i++)
            check.That(HeaderName().IsMatch(cors.Headers[i]), $"cors.headers[{i}]", cors.Headers[i],
                "the name of a request header");
        check.Range("cors.maxAge", cors.MaxAge, TimeSpan.Zero, Day);
    }

    /// <summary>Validates a manifest: each entry, and that all names are unique.</summary>
    /// <param name="file">The manifest.</param>
    /// <param name="beside">Declarations that remain beside it, unless it declares the same names.</param>
    public static List<FieldError> Check(ManifestFile file, EndpointCatalog? beside = null)
    {
        var errors = new List<FieldError>();
        var names = file.Templates.Select(t => t.Name).Concat(beside?.Templates.Keys ?? []).ToHashSet();
        var ids = file.Endpoints.Select(e => e.Id).ToHashSet();
        var others = (beside?.Deployments ?? []).Select(d => d.Endpoint).Where(e => !ids.Contains(e.Id)).ToList();
        for (var i = 0; i < file.Templates.Count; i++)
        {
            errors.AddRange(Check(file.Templates[i], $"templates[{i}]"));
            if (file.Templates.Take(i).Any(t => t.Name == file.Templates[i].Name))
                errors.Add(new FieldError($"templates[{i}].name", file.Templates[i].Name, "a unique name"));
        }

        for (var i = 0; i < file.Endpoints.Count; i++)
        {
            var endpoint = file.Endpoints[i];
            errors.AddRange(Check(endpoint, $"endpoints[{i}]", names, [.. others, .. file.Endpoints.Take(i)],
                [.. others, .. file.Endpoints]));
            if (file.Endpoints.Take(i).Any(e => e.Id == endpoint.Id))
                errors.Add(new FieldError($"endpoints[{i}].id", endpoint.Id, "a unique id"));
        }

        return errors;
    }

    /// <summary>The expected form of an origin, for error messages.</summary>
    public const string OriginForm = "an origin like https://app.example.com or http://localhost:3000 "
        + "(lower case, no path, no default port), or *";

    [GeneratedRegex("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}\\z")]
    private static partial Regex HeaderName();

    private const string IdForm = "1 to 63 of a-z, 0-9 and '-', starting with a letter or digit";

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,62}\\z")]
    private static partial Regex Id();

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\\z")]
    private static partial Regex Model();

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?\\z")]
    private static partial Regex User();

    [GeneratedRegex("^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\\z")]
    private static partial Regex Volume();

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]{0,127}\\z")]
    private static partial Regex Variable();

    /// <summary>Collects the errors of one declaration.</summary>
    internal sealed class Checker(string path)
    {
        public List<FieldError> Errors { get; } = [];

        public void Add(string field, string value, string expected) =>
            Errors.Add(new FieldError(path.Length > 0 ? $"{path}.{field}" : field, value, expected));

        public void That(bool holds, string field, string value, string expected)
        {
            if (!holds) Add(field, value.Length > 0 ? value : "\"\"", expected);
        }

        public void Range(string field, long value, long least, long most) =>
            That(value >= least && value <= most, field, $"{value}", $"{least} to {most}");

        public void Range(string field, TimeSpan value, TimeSpan least, TimeSpan most) =>
            That(value >= least && value <= most, field, Duration.Format(value),
                $"{Duration.Format(least)} to {Duration.Format(most)}");

        public void Env(IReadOnlyDictionary<string, string> env)
        {
            foreach (var (name, value) in env)
            {
                That(Variable().IsMatch(name), $"env.{name}", name,
                    "letters, digits and '_', not starting with a digit");
                That(!name.StartsWith("SLUICE_POD_", StringComparison.Ordinal) && name is not ("SLUICE_PORT" or "PORT"),
                    $"env.{name}", name, "another name: Sluice sets this variable");
                foreach (var secret in SecretReference.NamesIn(value).Where(n => !SecretReference.IsName(n)))
                    Add($"env.{name}", secret, $"${{secret:NAME}} with a name of {SecretReference.NameForm}");
            }
        }
    }
}
