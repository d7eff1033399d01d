namespace Sluice.Worker.Generation.Chat.Jinja;

/// <summary>What went wrong in a template.</summary>
public enum TemplateErrorKind
{
    /// <summary>The template is not valid Jinja, or uses a part of Jinja that chat templates do not use.</summary>
    Syntax,

    /// <summary>The template cannot be evaluated with these messages.</summary>
    Evaluation,

    /// <summary>The template called <c>raise_exception</c>: it rejects these messages.</summary>
    Raised,

    /// <summary>The template needs more than <see cref="TemplateLimits"/> allow.</summary>
    Limit,
}

/// <summary>An error of a chat template. Rendering throws no other type.</summary>
/// <param name="kind">What went wrong.</param>
/// <param name="message">The text for the caller.</param>
public sealed class TemplateException(TemplateErrorKind kind, string message) : Exception(message)
{
    /// <summary>What went wrong.</summary>
    public TemplateErrorKind Kind { get; } = kind;

    /// <summary>Returns an error of the evaluation.</summary>
    internal static TemplateException Evaluation(string message) => new(TemplateErrorKind.Evaluation, message);

    /// <summary>Returns an error for a limit that was exceeded.</summary>
    internal static TemplateException Limit(string message) => new(TemplateErrorKind.Limit, message);
}
