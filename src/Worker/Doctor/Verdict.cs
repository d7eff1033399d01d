namespace Sluice.Worker.Doctor;

/// <summary>Result of the evaluation of the stack.</summary>
/// <param name="Served">True if the requested providers are available.</param>
/// <param name="Serving">The first requested provider that is available. Null if the worker would not start.</param>
/// <param name="Line">One or two sentences: which provider will serve and, if it is not the GPU, the one thing to
/// fix.</param>
public sealed record Verdict(bool Served, string? Serving, string Line);
