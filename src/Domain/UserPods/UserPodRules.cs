using System.Text.RegularExpressions;
using Sluice.Domain.Declarations;

namespace Sluice.Domain.UserPods;

/// <summary>Validates pods that users request. Pure. It reports every error with the field, the value and the rule.
/// </summary>
public static partial class UserPodRules
{
    private const int MaxName = 100;

    /// <summary>Whether a text has the form of a pod's id.</summary>
    public static bool IsId(string text) => Id().IsMatch(text);

    /// <summary>Validates a request.</summary>
    public static List<FieldError> Check(UserPodSpec spec)
    {
        var check = new EndpointRules.Checker("");
        check.That(spec.Name.Length is > 0 and <= MaxName && !spec.Name.Any(char.IsControl), "name", spec.Name,
            $"1 to {MaxName} characters without control characters");
        check.That(spec.Image.Length == 0 || ImageName.IsImage(spec.Image), "image", spec.Image,
            "an image like repository:tag or registry/repository@sha256:...");
        check.That(spec.Image.Length > 0 || spec.Command.Count > 0, "image", "",
            "an image, or the name of a template that has an image or a command");
        check.That(spec.Command.All(c => c.Length > 0), "command", "\"\"", "program and arguments, none of them empty");
        check.That(spec.Args.All(a => a.Length > 0), "args", "\"\"", "arguments, none of them empty");
        check.Env(spec.Env);
        // The fingerprint of a pod and the declaration in its labels have the values.
        foreach (var (name, value) in spec.Env)
            check.That(!SecretReference.NamesIn(value).Any(), $"env.{name}", value,
                "a value; only workers get secrets");
        EndpointRules.Check(spec.Container, check, canBeOfImage: true);
        check.Range("stopGrace", spec.StopGrace, TimeSpan.Zero, TimeSpan.FromHours(1));
        check.Range("startTimeout", spec.StartTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromDays(1));
        if (spec.Gpu is { } gpu) GpuRules.Check(gpu, check);
        var policy = new PodPolicy
        {
            Ports = spec.Ports,
            Volume = spec.Volume,
            Disk = spec.Disk,
            IdleTimeout = spec.IdleTimeout,
            StopAfter = spec.StopAfter,
            TerminateAfter = spec.TerminateAfter,
        };
        PodRules.Check(policy, check, "");
        return check.Errors;
    }

    [GeneratedRegex("^[a-z0-9]{14}\\z")]
    private static partial Regex Id();
}
