using System.Text.RegularExpressions;

namespace Sluice.Domain.Declarations;

/// <summary>
/// Validates the Kubernetes policy of a template. Pure. The forms of names, labels and taints are those of the API
/// server (kubernetes.io, "Object Names and IDs", "Labels and Selectors", "Taints and Tolerations").
/// </summary>
internal static partial class KubernetesRules
{
    private const int MaxEntries = 32;

    private const string NameForm = "the name of an object: at most 253 of a-z, 0-9, '-' and '.', with a letter or "
        + "digit at both ends";

    private const string KeyForm = "the key of a label, like example.com/pool: at most 63 letters, digits, '-', '_' "
        + "and '.' after an optional domain";

    private const string ValueForm = "the value of a label: at most 63 letters, digits, '-', '_' and '.', with a "
        + "letter or digit at both ends";

    private static readonly string[] Effects = ["", "NoSchedule", "PreferNoSchedule", "NoExecute"];

    /// <summary>Adds the errors of the policy.</summary>
    /// <param name="check">Receives the errors.</param>
    /// <param name="template">The template with the policy.</param>
    /// <param name="policy">The policy.</param>
    public static void Check(EndpointRules.Checker check, Template template, KubernetesPolicy policy)
    {
        // Kueue's webhook uses the name as the value of a label.
        check.That(policy.Queue.Length == 0 || (policy.Queue.Length <= 63 && Name().IsMatch(policy.Queue)),
            "kubernetes.queue", policy.Queue, NameForm.Replace("253", "63", StringComparison.Ordinal));
        CheckName("priorityClass", policy.PriorityClass);
        CheckName("runtimeClass", policy.RuntimeClass);
        check.That(policy.NodeSelector.Count == 0 || template.Gpu is null, "kubernetes.nodeSelector",
            string.Join(", ", policy.NodeSelector.Select(l => $"{l.Key}={l.Value}")),
            "none, because gpu selects the node (gpu.types, gpu.minMemory and others)");
        check.Range("kubernetes.nodeSelector", policy.NodeSelector.Count, 0, MaxEntries);
        foreach (var (key, value) in policy.NodeSelector)
        {
            check.That(Key().IsMatch(key), "kubernetes.nodeSelector", key, KeyForm);
            check.That(Value().IsMatch(value), $"kubernetes.nodeSelector.{key}", value, ValueForm);
        }

        check.Range("kubernetes.tolerations", policy.Tolerations.Count, 0, MaxEntries);
        for (var i = 0; i < Math.Min(policy.Tolerations.Count, MaxEntries); i++)
        {
            var (toleration, field) = (policy.Tolerations[i], $"kubernetes.tolerations[{i}]");
            check.That(Key().IsMatch(toleration.Key), $"{field}.key", toleration.Key, KeyForm);
            check.That(Value().IsMatch(toleration.Value), $"{field}.value", toleration.Value, ValueForm);
            check.That(Effects.Contains(toleration.Effect), $"{field}.effect", toleration.Effect,
                "NoSchedule, PreferNoSchedule, NoExecute, or none for each of them");
        }

        void CheckName(string field, string name) =>
            check.That(name.Length == 0 || Name().IsMatch(name), $"kubernetes.{field}", name, NameForm);
    }

    [GeneratedRegex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\\z")]
    private static partial Regex Name();

    [GeneratedRegex("^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?\\z")]
    private static partial Regex Key();

    [GeneratedRegex("^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?\\z")]
    private static partial Regex Value();
}
